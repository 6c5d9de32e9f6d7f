"""Read the rows that a run changed: each as it was before, and whether later runs changed it since."""

from collections.abc import Iterable, Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.ids import CustomerNumber, RunId
from reconciler.model.kind import Kind
from reconciler.model.roster import ROSTER_FIELDS
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.erased_people import list_forms, make_anonymous_record
from reconciler.store.key import StoreKey
from reconciler.store.read.image_sql import build_image_sql

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

TABLES = {
    Kind.CUSTOMER: "customers",
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
    Kind.ORG: "orgs",
    Kind.USER: "accounts",
    Kind.CLASS: "classes",
    Kind.ENROLLMENT: "enrollments",
}

#: Field of `model.roster` -> the column of the store, if its name differs.
COLUMNS = {
    Kind.ORG: {"parent": "parent_id"},
    Kind.CLASS: {"school": "org_id"},
    Kind.ENROLLMENT: {"class": "class_id", "user": "account_id", "primary": "is_primary"},
}
#: The columns of an image besides the fields. `bound` is not stored: it follows from the sourcedId.
EXTRA_COLUMNS: Schema = {
    "sourced_id": pl.String,
    "managed_by": pl.String,
    "tombstoned_at": pl.String,
    "concluded_at": pl.String,
    "created_run": pl.Int64,
    "origin_file": pl.String,
    "origin_line": pl.Int64,
}
DOCUMENT_COLUMNS: Schema = {
    "slug": pl.String,
    "name": pl.String,
    "title": pl.String,
    "document": pl.String,
    "tombstoned_at": pl.String,
    "created_run": pl.Int64,
    "origin_file": pl.String,
    "origin_line": pl.Int64,
    "span_file": pl.String,
    "span_line": pl.Int64,
}

TOUCHED_COLUMNS = (
    "id",
    # True if the run created the row
    "made",
    # True if the row still exists
    "there",
    # True if another run undid this one for the row
    "undone",
    # the first later run that changed the row and was not undone itself; null if there is none
    "later",
    # the origin of the row now
    "file",
    "line",
    # struct of the row before the run (`build_image_schema`); null if the run created it
    "was",
)

IMAGE_TEXT_COLUMNS: Schema = {"id": pl.Int64, "before": pl.String, "now": pl.String}
IMAGE_TEXTS_SQL = """
WITH touched (id, entry) AS (
    SELECT row_id, min(id) FROM journal WHERE run_id = :run AND kind = '{kind}' AND {journalled} GROUP BY row_id
    UNION ALL
    SELECT t.id, CAST(NULL AS BIGINT) FROM {table} t WHERE t.created_run = :run AND {owned}
       AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.run_id = :run AND j.kind = '{kind}' AND j.row_id = t.id)
)
SELECT w.id, b.before, CASE WHEN t.id IS NOT NULL THEN {image} END AS now
FROM touched w
LEFT JOIN journal b ON b.id = w.entry
LEFT JOIN {table} t ON t.id = w.id AND {owned}
ORDER BY w.id
"""

LATER_RUN_COLUMNS: Schema = {"id": pl.Int64, "run": pl.Int64}
LATER_RUNS_SQL = """
SELECT DISTINCT row_id AS id, run_id AS run FROM journal
WHERE kind = '{kind}' AND run_id > :run AND {journalled} ORDER BY row_id, run_id
"""


def build_image_schema(kind: Kind) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Return the schema of a decoded image: the fields of `model.roster`, with references as ids of the store."""
    if kind not in ROSTER_FIELDS:
        return dict(DOCUMENT_COLUMNS)
    types: dict[str, pl.DataType | type[pl.DataType]] = dict(EXTRA_COLUMNS)
    for field in ROSTER_FIELDS[kind]:
        if field.name != "bound":
            types[field.name] = pl.Int64 if field.reference or field.boolean else pl.String
    if kind is Kind.USER:
        types["merged_into"] = pl.Int64
    return types


def read_touched_rows(
    connection: Connection, kind: Kind, customer_number: CustomerNumber | None, run: RunId
) -> pl.DataFrame:
    """Return the rows of a kind that a run wrote, with `TOUCHED_COLUMNS`. customer_number: None for the catalog."""
    table = TABLES[kind]
    if kind is Kind.CUSTOMER:
        owned = "t.id = :customer"
    else:
        owned = "t.customer_id = :customer" if customer_number is not None else "t.customer_id IS NULL"
    facts: Parameters = {"run": run, "customer": customer_number}
    journalled = "customer_id = :customer" if customer_number is not None else "customer_id IS NULL"
    sql = IMAGE_TEXTS_SQL.format(
        kind=kind.value,
        table=table,
        owned=owned,
        journalled=journalled,
        image=build_image_sql(connection.dialect, kind, table),
    )
    rows = _decode_images(kind, run, connection.fetch_frame(sql, IMAGE_TEXT_COLUMNS, facts))
    later_runs = connection.fetch_frame(
        LATER_RUNS_SQL.format(kind=kind.value, journalled=journalled), LATER_RUN_COLUMNS, facts
    )
    undoes = dict(connection.fetch_rows("SELECT id, undoes FROM runs WHERE id >= :run AND undoes IS NOT NULL", facts))
    return _add_later_runs(rows, run, later_runs, undoes).select(TOUCHED_COLUMNS)


def count_moved_identities(connection: Connection, customer_number: CustomerNumber, run: RunId) -> int:
    """Return the number of sourcedIds that a run moved away from an account bound outside reconciler."""
    return int(
        connection.fetch_scalar(
            "SELECT count(*) FROM journal WHERE run_id = :run AND customer_id = :customer AND kind = 'identity'"
            " AND action = :action",
            {"run": run, "customer": customer_number, "action": Action.MOVE.value},
        )
    )


def filter_erased_keys(
    connection: Connection, key: StoreKey, customer_number: CustomerNumber, keys: pl.Series
) -> pl.Series:
    """Return the sourcedIds among `keys` whose people were erased and must not be restored."""
    traces: dict[str | None, set[str]] = {}
    for trace, key_id in connection.fetch_rows(
        "SELECT trace, key_id FROM erased WHERE customer_id = :customer", {"customer": customer_number}
    ):
        traces.setdefault(key_id, set()).add(trace)
    if not traces:
        return keys.clear()
    # An HMAC cannot be computed in SQL; here it is computed only if somebody was erased, and only for `keys`.
    known = keys.drop_nulls().unique(maintain_order=True)
    erased: set[str] = set()
    for key_id, of_key in traces.items():
        used = key.find(key_id)
        erased.update(
            each
            for each in known
            if any(make_anonymous_record(used, customer_number, form) in of_key for form in list_forms(each))
        )
    return known.filter(known.is_in(list(erased)))


def _decode_images(kind: Kind, run: RunId, texts: pl.DataFrame) -> pl.DataFrame:
    images = texts.with_columns(_build_decode_expression(kind, name) for name in ("before", "now"))
    was, now = pl.col("before"), pl.col("now")
    return images.select(
        "id",
        (was.is_null() | (was.struct.field("created_run") == run).fill_null(False)).alias("made"),
        now.is_not_null().alias("there"),
        now.struct.field("origin_file").alias("file"),
        now.struct.field("origin_line").alias("line"),
        was.alias("was"),
    )


def _add_later_runs(
    rows: pl.DataFrame, run: RunId, later_runs: pl.DataFrame, undoes: Mapping[RunId, RunId]
) -> pl.DataFrame:
    """Add `undone` and `later` to the rows. Evaluates each distinct sequence of runs once, because there are few.

    later_runs: `id`, `run` of all rows that later runs wrote, in order.
    """
    runs = (
        later_runs.join(rows, on="id", how="semi", maintain_order="left")
        .group_by("id", maintain_order=True)
        .agg(pl.col("run").cast(pl.String).str.join(",").alias("sequence"))
    )
    sequences = runs["sequence"].unique(maintain_order=True)
    effects = [
        determine_effect(run, [RunId(int(each)) for each in sequence.split(",")], undoes) for sequence in sequences
    ]
    effect_by_sequence = pl.DataFrame(
        {"sequence": sequences, "undone": [each[0] for each in effects], "later": [each[1] for each in effects]},
        schema={"sequence": pl.String, "undone": pl.Boolean, "later": pl.Int64},
    )
    return (
        rows.join(runs, on="id", how="left", maintain_order="left")
        .join(effect_by_sequence, on="sequence", how="left", maintain_order="left")
        .with_columns(pl.col("undone").fill_null(False))
    )


def determine_effect(run: RunId, later: Iterable[RunId], undoes: Mapping[RunId, RunId]) -> tuple[bool, RunId | None]:
    """Return whether `run` is undone for a row that the `later` runs also wrote, and else the first of them that
    prevents undoing it, or None.

    A run that undoes another one leaves the row as it was before that one, so that two runs can be undone in turn.
    """
    effective: tuple[RunId, ...] = (run,)
    effective_before: dict[RunId, tuple[RunId, ...]] = {run: ()}
    for each in later:
        undone = undoes.get(each)
        previous = effective
        effective = (
            effective_before[undone] if undone in effective_before and undone is not None else (*effective, each)
        )
        effective_before[each] = previous
    if run not in effective:
        return True, None
    return False, next(iter(effective[1:]), None)


def _build_decode_expression(kind: Kind, column: str) -> pl.Expr:
    schema = build_image_schema(kind)
    stored = {COLUMNS.get(kind, {}).get(name, name): type_ for name, type_ in schema.items()}
    decoded = pl.col(column).str.json_decode(pl.Struct(stored)).struct.rename_fields(list(schema))
    return pl.when(pl.col(column).is_not_null()).then(decoded).alias(column)
