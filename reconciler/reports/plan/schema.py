"""The JSON Schema (draft 2020-12) of a plan as JSON.

Strict about what is there today, open to what may be added: unknown keys are allowed everywhere, and actions and
reasons are words of which today's are examples.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from reconciler.model.cause import Cause
from reconciler.model.change import Action
from reconciler.model.diagnostic import Severity
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import Freshness, Outcome
from reconciler.model.reason import Reason
from reconciler.model.weakening import Protection
from reconciler.reports.plan.json import COUNTED

Schema: TypeAlias = dict[str, Any]

_NUMBER: Schema = {"type": "integer", "minimum": 0}
_PLACE: Schema = {"type": ["integer", "null"], "minimum": 1}
_TEXT: Schema = {"type": "string"}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_SHA256 = "[0-9a-f]{64}"
_CAUSE: Schema = {
    "enum": [*(cause.value for cause in Cause), None],
    "description": "pr: by the change under review. pending: not yet applied before it. drift: by hand.",
}


def plan_schema() -> Schema:
    """What `plan --format json` and `show --format json` print."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "plan.schema.json",
        "title": "Plan",
        "description": "Everything an apply would do, customer by customer, deletions first.",
        **_object(
            format_version={"type": "string", "pattern": r"^1\.\d+$", "description": "Grows by adding only."},
            plan_id={
                "type": "string",
                "pattern": f"^sha256:{_SHA256}$",
                "description": "A digest of what the plan would do, to which customers, in which store: the same "
                "for the same effects, whatever the order of files, the time or the formatting.",
            },
            created_at=_time("When the plan was made."),
            tool_version=_TEXT,
            store=_object(
                id=_described(_TEXT, "The store's UUID."),
                environment=_described(_TEXT, "The environment that the store was made for."),
            ),
            base={
                "anyOf": [{"type": "null"}, _object(ref=_TEXT, commit=_described(_TEXT, "The commit that it named."))],
                "description": "The state in git that the plan is compared with: it takes only customers that differ.",
            },
            elsewhere={
                "anyOf": [{"type": "null"}, _object(pending=_NUMBER, drifted=_NUMBER, failed=_NUMBER)],
                "description": "Customers that a plan with a base leaves out and that are not as git has them.",
            },
            summary=_described(_summary(), "Sums over all customers and kinds."),
            weakened=_described(_weakened(), "What reconciler.yaml protects less than before."),
            customers={"type": "array", "items": {"$ref": "#/$defs/customer"}},
        ),
        "$defs": {
            "customer": _customer(),
            "source": _source(),
            "hold": _hold(),
            "diagnostic": _diagnostic(),
            "counts": _numbers(),
            "limit": _limit(),
            "weakening": _weakening(),
            "change": _change(),
        },
    }


def _customer() -> Schema:
    return _object(
        id=_described(_TEXT, "The customer's id; @catalogue for the shared lessons."),
        outcome=_described(_one_of(Outcome), "refused: the source was; failed: the configuration did."),
        source=_or_null("source"),
        hold=_or_null("hold"),
        would_hold=_described(
            {"type": "array", "items": _TEXT},
            "Why an apply of the roster would hold something, where it is shown only.",
        ),
        diagnostics={"type": "array", "items": {"$ref": "#/$defs/diagnostic"}},
        counts={
            "type": "object",
            "description": "By kind, for every kind that has any number.",
            "propertyNames": _one_of(Kind),
            "additionalProperties": {"$ref": "#/$defs/counts"},
        },
        limits={"type": "array", "items": {"$ref": "#/$defs/limit"}},
        weakened=_described(_weakened(), "Settings that protect people less than those before."),
        changes={
            "type": "array",
            "description": "Deletions first; they are never cut, but for enrollments.",
            "items": {"$ref": "#/$defs/change"},
        },
        changes_truncated=_described({"type": "boolean"}, "More changes are planned than are listed."),
    )


def _source() -> Schema:
    return _object(
        type=_described(_TEXT, "zip, sftp or api."),
        freshness=_described(_one_of(Freshness), "last: the last good roster, shown and never applied."),
        complete=_described({"type": "boolean"}, "False: the source cannot prove that it is whole."),
        sha256={"type": "string", "pattern": f"^{_SHA256}$"},
        fetched_at=_time("When the roster was read."),
        rows=_described({"type": "object", "additionalProperties": _NUMBER}, "Data rows by file, as read."),
    )


def _hold() -> Schema:
    return _object(
        id={
            "type": "string",
            "pattern": r"^[^:]+:\d+:[0-9a-f]+$",
            "description": "CUSTOMER:PEOPLE:DIGEST, for --approve. It names exactly this set.",
        },
        people=_NUMBER,
        rows=_described(_NUMBER, "All that is held: people, enrollments, classes and whatever else."),
    )


def _diagnostic() -> Schema:
    return _object(
        code={"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "description": "Stable."},
        severity=_one_of(Severity),
        message=_TEXT,
        file=_OPTIONAL_TEXT,
        line=_PLACE,
        column=_PLACE,
        hint=_OPTIONAL_TEXT,
    )


def _limit() -> Schema:
    return _object(
        kind=_one_of(Kind),
        action=_word("What is counted.", Action),
        scope={"type": "string", "pattern": "^(customer$|org:.)", "description": "customer, or org:SOURCEDID."},
        seen=_NUMBER,
        allowed=_NUMBER,
        of=_described(_NUMBER, "What is live in this scope."),
        exceeded={"type": "boolean"},
        name=_described(_TEXT, "The limit as it is called under rostering.limits."),
        earlier=_described(_NUMBER, "How many of seen are of earlier runs within the window."),
    )


def _change() -> Schema:
    schema = _object(
        action=_word("What would be done. Others may be added.", Action),
        kind=_one_of(Kind),
        key=_described(_TEXT, "A declared id, or a sourcedId; a pseudonym where people are masked."),
        label=_described(_TEXT, "A name for people."),
        reason=_word("Why. Others may be added.", Reason),
        cause=_CAUSE,
        held=_described({"type": "boolean"}, "Kept back until a person approves."),
        origin={
            "anyOf": [{"type": "null"}, _object(file=_TEXT, line=_PLACE)],
            "description": "What asks for it; line null: the file that it is missing from.",
        },
        impact={
            "type": "object",
            "description": "What goes with it: classes, enrollments, assignments, lti_links, last_sign_in, ...",
            "additionalProperties": {"type": ["integer", "boolean", "string"]},
        },
        fields={
            "type": "array",
            "items": _object(path=_TEXT, before={}, after={}, cause=_CAUSE),
            "description": "What changes, before and after; ••• where a personal value is hidden.",
        },
    )
    schema["properties"]["into"] = _described(
        _TEXT, "Only of an account that is merged: the key of the one that it goes into, with all that it has."
    )
    return schema


def _weakened() -> Schema:
    return {"type": "array", "items": {"$ref": "#/$defs/weakening"}}


def _weakening() -> Schema:
    return _object(
        protection=_word("What is weakened. Others may be added.", Protection),
        kind={"enum": [*(kind.value for kind in DECLARED_KINDS), None], "description": "null: reconciler.yaml."},
        key=_described(_TEXT, "The document's id."),
        path=_described(_TEXT, "Dotted, as in the fields of a change."),
        before={},
        after={},
        file=_OPTIONAL_TEXT,
        line=_PLACE,
    )


def _summary() -> Schema:
    numbers = _numbers()
    weakened = _described(_NUMBER, "Protections weakened, those of reconciler.yaml too.")
    return _object(**numbers["properties"], weakened=weakened)


def _numbers() -> Schema:
    return _object(
        **{action.value: _NUMBER for action in COUNTED},
        held=_described(_NUMBER, "How many of the changes are held; they are in the other numbers too."),
        unchanged=_NUMBER,
        quarantined=_described(_NUMBER, "Rows set aside, which protect what they name."),
    )


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": True,
    }


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _one_of(words: type[StrEnum]) -> Schema:
    return {"enum": [word.value for word in words]}


def _word(description: str, words: type[StrEnum]) -> Schema:
    return {
        "type": "string",
        "pattern": "^[a-z][a-z_]*$",
        "description": description,
        "examples": [word.value for word in words],
    }


def _or_null(name: str) -> Schema:
    return {"anyOf": [{"type": "null"}, {"$ref": f"#/$defs/{name}"}]}


def _time(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "description": description}
