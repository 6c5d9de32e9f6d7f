"""The schema of change frames: roster changes of one kind, one row each.

A frame has CHANGE_COLUMNS, then the kind's compared fields (`model.roster.ROSTER_FIELDS`) after the change, then the
same fields before it, each under BEFORE_PREFIX. A plan may add CAUSE_COLUMN and columns under IMPACT_PREFIX.
"""

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import ACTION_ORDER
from reconciler.model.kind import Kind
from reconciler.model.roster import ROSTER_FIELDS


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """One column that the change frames of every roster kind have."""

    name: str
    #: one sentence on its values and on what null means
    meaning: str
    type: "type[pl.DataType]" = pl.String


CHANGE_COLUMNS = (
    ChangeColumn("action", "The Action that the row asks for; never null."),
    ChangeColumn("reason", "The Reason for it; never null."),
    ChangeColumn("key", "The row's sourcedId after the change; for an account that is unbound, the one it had."),
    ChangeColumn("former_key", "The sourcedId before the change, if it is replaced; else null."),
    ChangeColumn("label", "A name for people to read; the key if there is no name."),
    ChangeColumn("file", "The file that asks for the change, of the roster or of a customer; null if unknown."),
    ChangeColumn("line", "The line in that file; 0 if the cause is a missing row.", pl.Int64),
    ChangeColumn("live_id", "The row's id in the store; null for a new row.", pl.Int64),
    ChangeColumn("seen", "The fingerprint in the store when planned; null after a write outside reconciler.", pl.Int64),
    ChangeColumn("fingerprint", "The fingerprint after the change; 0 for a row that leaves.", pl.Int64),
    ChangeColumn("manager", "The manager of the account before the change; null for other kinds and new rows."),
    ChangeColumn("held", "True while the change waits for a person's approval; never null.", pl.Boolean),
    ChangeColumn(
        "into", "The sourcedId of the account that this one is merged into, or split from by an undo; or null."
    ),
    ChangeColumn("limits", "The names of the limits that count the row, joined by commas; null for none."),
)

#: Begins the names of fields before the change.
BEFORE_PREFIX = "before_"
#: A further column of a plan with a git base: a ChangeCause; null if none is known.
CAUSE_COLUMN = "cause"
#: Begins the names of further columns that count the data that goes with the row, such as `impact_enrollments`.
IMPACT_PREFIX = "impact_"
#: Columns under IMPACT_PREFIX, by kind; null for rows that have nothing, and for new rows.
IMPACT_COLUMNS: dict[Kind, tuple[ChangeColumn, ...]] = {
    Kind.ORG: (
        ChangeColumn("people", "Active people with a role in the org.", pl.Int64),
        ChangeColumn("classes", "Active classes of the org.", pl.Int64),
    ),
    Kind.USER: (
        ChangeColumn("classes", "Classes that the person is enrolled in.", pl.Int64),
        ChangeColumn("enrollments", "The person's enrollments.", pl.Int64),
        ChangeColumn("assignments", "Lessons assigned to the person.", pl.Int64),
        ChangeColumn("lti_links", "LMS identities linked to the account.", pl.Int64),
        ChangeColumn("password", "Whether the account has a password.", pl.Boolean),
        ChangeColumn("last_sign_in", "The moment of the last sign-in; null if there was none."),
    ),
    Kind.CLASS: (
        ChangeColumn("enrollments", "Enrollments in the class.", pl.Int64),
        ChangeColumn("assignments", "Lessons assigned to the class.", pl.Int64),
    ),
    Kind.ENROLLMENT: (),
}

#: The roster file that holds each kind's rows.
CSV_FILES = {
    Kind.ORG: "orgs.csv",
    Kind.USER: "users.csv",
    Kind.CLASS: "classes.csv",
    Kind.ENROLLMENT: "enrollments.csv",
}


def build_field_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Return the names and types of a kind's compared fields, in order."""
    return {each.name: pl.Boolean if each.boolean else pl.String for each in ROSTER_FIELDS[kind]}


def build_change_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Return the columns and types of a kind's change frame, in order."""
    fields = build_field_schema(kind)
    before = {f"{BEFORE_PREFIX}{name}": type_ for name, type_ in fields.items()}
    return {**{column.name: column.type for column in CHANGE_COLUMNS}, **fields, **before}


def build_impact_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Return the names and types of the columns that count the data that goes with a row."""
    return {f"{IMPACT_PREFIX}{column.name}": column.type for column in IMPACT_COLUMNS[kind]}


def make_empty_changes(kind: Kind) -> pl.DataFrame:
    """Return a change frame without rows."""
    return pl.DataFrame(schema=build_change_schema(kind))


def fit_to_schema(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """Return exactly the columns of a change frame, in order; those that `rows` lacks are null."""
    schema = build_change_schema(kind)
    missing = [pl.lit(None, dtype=type_).alias(name) for name, type_ in schema.items() if name not in rows.columns]
    return rows.with_columns(missing).select(list(schema))


def find_schema_error(kind: Kind, frame: pl.DataFrame) -> str | None:
    """Return a sentence on the first column that is missing, has the wrong type or is not allowed, or None if the
    frame fits."""
    required = build_change_schema(kind)
    allowed: dict[str, type[pl.DataType]] = {**required, CAUSE_COLUMN: pl.String, **build_impact_schema(kind)}
    for name in required:
        if name not in frame.columns:
            return f"the changes of {kind.plural} have no column {name}"
    for name, type_ in frame.schema.items():
        if name not in allowed:
            return f"the changes of {kind.plural} have an unknown column {name}"
        if type_ != allowed[name]:
            wanted = pl.Schema({name: allowed[name]})[name]
            return f"column {name} of the changes of {kind.plural} is {type_} and not {wanted}"
    return None


def build_label(kind: Kind) -> pl.Expr:
    """Return a name for people to read, or the key if there is none."""
    if kind is Kind.USER:
        name = pl.concat_str("given_name", "family_name", separator=" ", ignore_nulls=True)
        return pl.when(name == "").then(pl.col("key")).otherwise(name).alias("label")
    if kind is Kind.ENROLLMENT:
        return pl.concat_str(pl.col("user"), pl.lit(" in "), pl.col("class"), ignore_nulls=True).alias("label")
    return pl.coalesce("name" if kind is Kind.ORG else "title", "key").alias("label")


def sort_for_report(changes: pl.DataFrame) -> pl.DataFrame:
    """Sort by action (losses first), then by key, so that the order of the rows read does not matter."""
    order = pl.col("action").replace_strict(
        {action.value: place for action, place in ACTION_ORDER.items()}, return_dtype=pl.Int8
    )
    return changes.sort(order, "key")
