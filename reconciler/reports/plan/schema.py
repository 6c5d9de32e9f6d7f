"""Build the JSON Schema (draft 2020-12) of a JSON plan.

It is strict about present keys and open to new ones: unknown keys are allowed everywhere, and the present actions and
reasons are examples.
"""

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
    "description": "pr: the change under review. pending: merged earlier, not applied yet. drift: manual change.",
}


def build_plan_schema() -> Schema:
    """Return the schema of the output of `plan --format json` and `show --format json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "plan.schema.json",
        "title": "Plan",
        "description": "All changes that an apply would make, by customer, deletions first.",
        **_build_object_schema(
            format_version={"type": "string", "pattern": r"^1\.\d+$", "description": "New versions only add keys."},
            plan_id={
                "type": "string",
                "pattern": f"^sha256:{_SHA256}$",
                "description": "A digest of the plan's changes, customers and store: the same for the same changes, "
                "whatever the order of files, the time or the formatting.",
            },
            created_at=_build_time_schema("When the plan was made."),
            tool_version=_TEXT,
            store=_build_object_schema(
                id=_add_description(_TEXT, "The store's UUID."),
                environment=_add_description(_TEXT, "The store's environment."),
                new=_add_description(
                    {"type": "boolean"},
                    "True if the store does not exist yet: the IDs of the plan and its holds cannot be approved.",
                ),
            ),
            base={
                "anyOf": [
                    {"type": "null"},
                    _build_object_schema(
                        ref=_TEXT,
                        commit=_add_description(_TEXT, "The commit compared with."),
                        missing_commits=_add_description(_NUMBER, "Commits of ref that the checkout lacks."),
                    ),
                ],
                "description": "The git ref that the plan is compared with; it has only customers that differ.",
            },
            elsewhere={
                "anyOf": [{"type": "null"}, _build_object_schema(pending=_NUMBER, drifted=_NUMBER, failed=_NUMBER)],
                "description": "Numbers of customers that differ from git and are not in a plan with a base.",
            },
            summary=_add_description(_build_summary_schema(), "Sums over all customers and kinds."),
            weakened=_add_description(
                _build_weakenings_schema(), "Protections that reconciler.yaml weakens, and access that it gives."
            ),
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
        id=_add_description(_TEXT, "The customer's ID; @catalogue for the shared lessons."),
        outcome=_add_description(
            _build_enum_schema(Outcome),
            "refused: because of the roster. failed: because of the configuration or an error.",
        ),
        source=_build_nullable_reference("source"),
        hold=_build_nullable_reference("hold"),
        would_hold=_add_description(
            {"type": "array", "items": _TEXT},
            "Reasons why applying the roster would hold changes, if the roster is only a preview.",
        ),
        diagnostics={"type": "array", "items": {"$ref": "#/$defs/diagnostic"}},
        counts={
            "type": "object",
            "description": "By kind; only kinds with a number above 0.",
            "propertyNames": _build_enum_schema(Kind),
            "additionalProperties": {"$ref": "#/$defs/counts"},
        },
        limits={"type": "array", "items": {"$ref": "#/$defs/limit"}},
        weakened=_add_description(
            _build_weakenings_schema(), "Protections that this customer's settings weaken, and access that they give."
        ),
        changes={
            "type": "array",
            "description": "Deletions first; all are listed, except enrollments.",
            "items": {"$ref": "#/$defs/change"},
        },
        changes_truncated=_add_description({"type": "boolean"}, "Whether some changes are not listed."),
    )


def _build_source_schema() -> Schema:
    return _build_object_schema(
        type=_add_description(_TEXT, "zip, sftp or api."),
        freshness=_add_description(
            _build_enum_schema(Freshness), "last: the last good roster, a preview that is never applied."
        ),
        complete=_add_description({"type": "boolean"}, "false: the roster may be incomplete, so it removes nothing."),
        sha256={"type": "string", "pattern": f"^{_SHA256}$"},
        fetched_at=_build_time_schema("When the roster was read."),
        rows=_add_description({"type": "object", "additionalProperties": _NUMBER}, "Data rows by file, as read."),
    )


def _build_hold_schema() -> Schema:
    return _build_object_schema(
        id={
            "type": "string",
            "pattern": r"^[^:]+:\d+:[0-9a-f]+$",
            "description": "CUSTOMER:PEOPLE:DIGEST, for --approve. Identifies exactly this set of changes.",
        },
        people=_NUMBER,
        rows=_add_description(_NUMBER, "All held changes: people, enrollments, classes and others."),
        causes=_add_description({"type": "array", "items": _TEXT}, "Sentences that say why the changes wait."),
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
        of=_add_description(_NUMBER, "Active rows in this scope."),
        exceeded={"type": "boolean"},
        name=_add_description(_TEXT, "The limit's key under rostering.limits."),
        earlier=_add_description(_NUMBER, "The part of seen from earlier runs within the window."),
    )


def _build_change_schema() -> Schema:
    schema = _build_object_schema(
        action=_build_word_schema("The action. New ones may be added.", Action),
        kind=_build_enum_schema(Kind),
        key=_add_description(_TEXT, "A document's ID or a sourcedId; a pseudonym if people are masked."),
        label=_add_description(_TEXT, "A name for people."),
        reason=_build_word_schema("The reason. New ones may be added.", Reason),
        cause=_CAUSE,
        held=_add_description({"type": "boolean"}, "Whether the change waits for approval."),
        origin={
            "anyOf": [{"type": "null"}, _build_object_schema(file=_TEXT, line=_PLACE)],
            "description": "The file and line that ask for the change; line null: the file that it is missing from.",
        },
        impact={
            "type": "object",
            "description": "Related data: classes, enrollments, assignments, lti_links, last_sign_in, ...",
            "additionalProperties": {"type": ["integer", "boolean", "string"]},
        },
        fields={
            "type": "array",
            "items": _build_object_schema(path=_TEXT, before={}, after={}, cause=_CAUSE),
            "description": "Changed fields, before and after; ••• hides a personal value.",
        },
    )
    schema["properties"]["into"] = _add_description(
        _TEXT, "Only for a merged account: the key of the account that receives its data."
    )
    return schema


def _build_weakenings_schema() -> Schema:
    return {"type": "array", "items": {"$ref": "#/$defs/weakening"}}


def _build_weakening_schema() -> Schema:
    return _build_object_schema(
        protection=_build_word_schema(
            "The weakened protection, or access that is given. More may be added.", Protection
        ),
        kind={"enum": [*(kind.value for kind in DECLARED_KINDS), None], "description": "null: reconciler.yaml."},
        key=_add_description(_TEXT, "The document's ID."),
        path=_add_description(_TEXT, "Dotted, as in the fields of a change."),
        before={},
        after={},
        file=_OPTIONAL_TEXT,
        line=_PLACE,
    )


def _build_summary_schema() -> Schema:
    numbers = _build_counts_schema()
    weakened = _add_description(
        _NUMBER, "Weakened protections and settings that give access, those of reconciler.yaml included."
    )
    access = _add_description(_NUMBER, "Those of them that give or move access.")
    return _build_object_schema(**numbers["properties"], weakened=weakened, access=access)


def _build_counts_schema() -> Schema:
    return _build_object_schema(
        **{action.value: _NUMBER for action in COUNT_ORDER},
        held=_add_description(_NUMBER, "Held changes, which the other numbers include."),
        unchanged=_NUMBER,
        quarantined=_add_description(_NUMBER, "Quarantined rows; the records they name stay unchanged."),
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
