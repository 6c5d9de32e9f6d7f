"""The JSON Schema (draft 2020-12) of a plan as JSON.

Strict about what is there today, open to what may be added: unknown keys are allowed everywhere, and actions and
reasons are words of which today's are examples.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action
from reconciler.model.diagnostic import Severity
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import Freshness, Outcome
from reconciler.model.reason import Reason
from reconciler.model.weakening import Protection
from reconciler.reports.plan.json import COUNT_ORDER

Schema: TypeAlias = dict[str, Any]

_NUMBER: Schema = {"type": "integer", "minimum": 0}
_PLACE: Schema = {"type": ["integer", "null"], "minimum": 1}
_TEXT: Schema = {"type": "string"}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_SHA256 = "[0-9a-f]{64}"
_CAUSE: Schema = {
    "enum": [*(cause.value for cause in ChangeCause), None],
    "description": "pr: by the change under review. pending: not yet applied before it. drift: manual change.",
}


def build_plan_schema() -> Schema:
    """What `plan --format json` and `show --format json` print."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "plan.schema.json",
        "title": "Plan",
        "description": "Everything an apply would do, customer by customer, deletions first.",
        **_build_object_schema(
            format_version={"type": "string", "pattern": r"^1\.\d+$", "description": "Grows by adding only."},
            plan_id={
                "type": "string",
                "pattern": f"^sha256:{_SHA256}$",
                "description": "A digest of what the plan would do, to which customers, in which store: the same "
                "for the same effects, whatever the order of files, the time or the formatting.",
            },
            created_at=_build_time_schema("When the plan was made."),
            tool_version=_TEXT,
            store=_build_object_schema(
                id=_add_description(_TEXT, "The store's UUID."),
                environment=_add_description(_TEXT, "The environment that the store was made for."),
            ),
            base={
                "anyOf": [
                    {"type": "null"},
                    _build_object_schema(ref=_TEXT, commit=_add_description(_TEXT, "The commit that it named.")),
                ],
                "description": "The state in git that the plan is compared with: it takes only customers that differ.",
            },
            elsewhere={
                "anyOf": [{"type": "null"}, _build_object_schema(pending=_NUMBER, drifted=_NUMBER, failed=_NUMBER)],
                "description": "Customers that a plan with a base leaves out and that are not as git has them.",
            },
            summary=_add_description(_build_summary_schema(), "Sums over all customers and kinds."),
            weakened=_add_description(_build_weakenings_schema(), "What reconciler.yaml protects less than before."),
            customers={"type": "array", "items": {"$ref": "#/$defs/customer"}},
        ),
        "$defs": {
            "customer": _build_customer_schema(),
            "source": _build_source_schema(),
            "hold": _build_hold_schema(),
            "diagnostic": _build_diagnostic_schema(),
            "counts": _build_counts_schema(),
            "limit": _build_limit_schema(),
            "weakening": _build_weakening_schema(),
            "change": _build_change_schema(),
        },
    }


def _build_customer_schema() -> Schema:
    return _build_object_schema(
        id=_add_description(_TEXT, "The customer's id; @catalogue for the shared lessons."),
        outcome=_add_description(
            _build_enum_schema(Outcome), "refused: the source was; failed: the configuration did."
        ),
        source=_build_nullable_reference("source"),
        hold=_build_nullable_reference("hold"),
        would_hold=_add_description(
            {"type": "array", "items": _TEXT},
            "Why an apply of the roster would hold something, where it is shown only.",
        ),
        diagnostics={"type": "array", "items": {"$ref": "#/$defs/diagnostic"}},
        counts={
            "type": "object",
            "description": "By kind, for every kind that has any number.",
            "propertyNames": _build_enum_schema(Kind),
            "additionalProperties": {"$ref": "#/$defs/counts"},
        },
        limits={"type": "array", "items": {"$ref": "#/$defs/limit"}},
        weakened=_add_description(_build_weakenings_schema(), "Settings that protect people less than those before."),
        changes={
            "type": "array",
            "description": "Deletions first; they are never cut, but for enrollments.",
            "items": {"$ref": "#/$defs/change"},
        },
        changes_truncated=_add_description({"type": "boolean"}, "More changes are planned than are listed."),
    )


def _build_source_schema() -> Schema:
    return _build_object_schema(
        type=_add_description(_TEXT, "zip, sftp or api."),
        freshness=_add_description(
            _build_enum_schema(Freshness), "last: the last good roster, shown and never applied."
        ),
        complete=_add_description({"type": "boolean"}, "False: the source cannot prove that it is whole."),
        sha256={"type": "string", "pattern": f"^{_SHA256}$"},
        fetched_at=_build_time_schema("When the roster was read."),
        rows=_add_description({"type": "object", "additionalProperties": _NUMBER}, "Data rows by file, as read."),
    )


def _build_hold_schema() -> Schema:
    return _build_object_schema(
        id={
            "type": "string",
            "pattern": r"^[^:]+:\d+:[0-9a-f]+$",
            "description": "CUSTOMER:PEOPLE:DIGEST, for --approve. It names exactly this set.",
        },
        people=_NUMBER,
        rows=_add_description(_NUMBER, "All that is held: people, enrollments, classes and whatever else."),
    )


def _build_diagnostic_schema() -> Schema:
    return _build_object_schema(
        code={"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "description": "Stable."},
        severity=_build_enum_schema(Severity),
        message=_TEXT,
        file=_OPTIONAL_TEXT,
        line=_PLACE,
        column=_PLACE,
        hint=_OPTIONAL_TEXT,
    )


def _build_limit_schema() -> Schema:
    return _build_object_schema(
        kind=_build_enum_schema(Kind),
        action=_build_word_schema("What is counted.", Action),
        scope={"type": "string", "pattern": "^(customer$|org:.)", "description": "customer, or org:SOURCEDID."},
        seen=_NUMBER,
        allowed=_NUMBER,
        of=_add_description(_NUMBER, "What is live in this scope."),
        exceeded={"type": "boolean"},
        name=_add_description(_TEXT, "The limit as it is called under rostering.limits."),
        earlier=_add_description(_NUMBER, "How many of seen are of earlier runs within the window."),
    )


def _build_change_schema() -> Schema:
    schema = _build_object_schema(
        action=_build_word_schema("What would be done. Others may be added.", Action),
        kind=_build_enum_schema(Kind),
        key=_add_description(_TEXT, "A declared id, or a sourcedId; a pseudonym where people are masked."),
        label=_add_description(_TEXT, "A name for people."),
        reason=_build_word_schema("Why. Others may be added.", Reason),
        cause=_CAUSE,
        held=_add_description({"type": "boolean"}, "Kept back until a person approves."),
        origin={
            "anyOf": [{"type": "null"}, _build_object_schema(file=_TEXT, line=_PLACE)],
            "description": "What asks for it; line null: the file that it is missing from.",
        },
        impact={
            "type": "object",
            "description": "What goes with it: classes, enrollments, assignments, lti_links, last_sign_in, ...",
            "additionalProperties": {"type": ["integer", "boolean", "string"]},
        },
        fields={
            "type": "array",
            "items": _build_object_schema(path=_TEXT, before={}, after={}, cause=_CAUSE),
            "description": "What changes, before and after; ••• where a personal value is hidden.",
        },
    )
    schema["properties"]["into"] = _add_description(
        _TEXT, "Only of an account that is merged: the key of the one that it goes into, with all that it has."
    )
    return schema


def _build_weakenings_schema() -> Schema:
    return {"type": "array", "items": {"$ref": "#/$defs/weakening"}}


def _build_weakening_schema() -> Schema:
    return _build_object_schema(
        protection=_build_word_schema("What is weakened. Others may be added.", Protection),
        kind={"enum": [*(kind.value for kind in DECLARED_KINDS), None], "description": "null: reconciler.yaml."},
        key=_add_description(_TEXT, "The document's id."),
        path=_add_description(_TEXT, "Dotted, as in the fields of a change."),
        before={},
        after={},
        file=_OPTIONAL_TEXT,
        line=_PLACE,
    )


def _build_summary_schema() -> Schema:
    numbers = _build_counts_schema()
    weakened = _add_description(_NUMBER, "Protections weakened, those of reconciler.yaml too.")
    return _build_object_schema(**numbers["properties"], weakened=weakened)


def _build_counts_schema() -> Schema:
    return _build_object_schema(
        **{action.value: _NUMBER for action in COUNT_ORDER},
        held=_add_description(_NUMBER, "How many of the changes are held; they are in the other numbers too."),
        unchanged=_NUMBER,
        quarantined=_add_description(_NUMBER, "Rows set aside, which protect what they name."),
    )


def _build_object_schema(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": True,
    }


def _add_description(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def _build_enum_schema(words: type[StrEnum]) -> Schema:
    return {"enum": [word.value for word in words]}


def _build_word_schema(description: str, words: type[StrEnum]) -> Schema:
    return {
        "type": "string",
        "pattern": "^[a-z][a-z_]*$",
        "description": description,
        "examples": [word.value for word in words],
    }


def _build_nullable_reference(name: str) -> Schema:
    return {"anyOf": [{"type": "null"}, {"$ref": f"#/$defs/{name}"}]}


def _build_time_schema(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "description": description}
