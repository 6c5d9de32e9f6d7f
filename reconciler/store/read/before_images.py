"""What one run changed, read back: each row as it was before, and whether a later run has changed it since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.roster import ROSTER_FIELDS
from reconciler.store.database.connection import Connection, Parameters
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

#: field of `model.roster` -> the column that a row keeps it in, where that has another name
COLUMNS = {
    Kind.ORG: {"parent": "parent_id"},
    Kind.CLASS: {"school": "org_id"},
    Kind.ENROLLMENT: {"class": "class_id", "user": "account_id", "primary": "is_primary"},
}
#: What an image has beside the fields. bound is no column: it follows from the sourcedId.
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

#: made: the run made the row. there: it is still. taken_back: another run took this one back, as far as the row goes.
#: later: the first later run that changed it and was not taken back itself; null where there is none. file, line: where
#: it comes from now. was: struct of what it was (`image_schema`); null of a row that the run made.
TOUCHED_COLUMNS = ("id", "made", "there", "taken_back", "later", "file", "line", "was")

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
    """Of a decoded image: a roster row's fields under the names of `model.roster`, but references by the store's id."""
    if kind not in ROSTER_FIELDS:
        return dict(DOCUMENT_COLUMNS)
    types: dict[str, pl.DataType | type[pl.DataType]] = dict(EXTRA_COLUMNS)
    for field in ROSTER_FIELDS[kind]:
        if field.name != "bound":
            types[field.name] = pl.Int64 if field.reference or field.boolean else pl.String
    if kind is Kind.USER:
        types["merged_into"] = pl.Int64
    return types


def read_touched_rows(connection: Connection, kind: Kind, customer_number: int | None, run: int) -> pl.DataFrame:
    """The columns of TOUCHED_COLUMNS. customer None: the catalogue."""
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
    since = connection.fetch_frame(
        LATER_RUNS_SQL.format(kind=kind.value, journalled=journalled), LATER_RUN_COLUMNS, facts
    )
    undoes = dict(connection.fetch_rows("SELECT id, undoes FROM runs WHERE id >= :run AND undoes IS NOT NULL", facts))
    return _add_later_runs(rows, run, since, undoes).select(TOUCHED_COLUMNS)


def count_moved_identities(connection: Connection, customer_number: int, run: int) -> int:
    """How many sourcedIds the run took from an account that another hand had bound them to."""
    return int(
        connection.fetch_scalar(
            "SELECT count(*) FROM journal WHERE run_id = :run AND customer_id = :customer AND kind = 'identity'"
            " AND action = :action",
            {"run": run, "customer": customer_number, "action": Action.MOVE.value},
        )
    )


def filter_erased_keys(connection: Connection, key: StoreKey, customer_number: int, keys: pl.Series) -> pl.Series:
    """Those of `keys`, sourcedIds, whose people were erased and must not come back."""
    traces = {
        trace
        for (trace,) in connection.fetch_rows(
            "SELECT trace FROM erased WHERE customer_id = :customer", {"customer": customer_number}
        )
    }
    if not traces:
        return keys.clear()
    # No set operation makes an HMAC; this asks it only where somebody was erased, of those who would come back.
    known = keys.drop_nulls().unique(maintain_order=True)
    return known.filter(
        pl.Series([make_anonymous_record(key, customer_number, each) in traces for each in known], dtype=pl.Boolean)
    )


def make_anonymous_record(key: StoreKey, customer_number: int, sourced_id: str) -> str:
    """What the store keeps of somebody who was erased: it knows them again and says nothing of them."""
    return key.compute_hmac_hex("erased", f"{customer_number}\0{sourced_id}")


def _decode_images(kind: Kind, run: int, texts: pl.DataFrame) -> pl.DataFrame:
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


def _add_later_runs(rows: pl.DataFrame, run: int, later_runs: pl.DataFrame, undoes: Mapping[int, int]) -> pl.DataFrame:
    """`rows` with `taken_back` and `later`. since: `id`, `run` of all that later runs touched, in order. However many
    rows there are, few sequences of runs are."""
    runs = (
        later_runs.join(rows, on="id", how="semi", maintain_order="left")
        .group_by("id", maintain_order=True)
        .agg(pl.col("run").cast(pl.String).str.join(",").alias("sequence"))
    )
    sequences = runs["sequence"].unique(maintain_order=True)
    told = [determine_effect(run, [int(each) for each in sequence.split(",")], undoes) for sequence in sequences]
    verdicts = pl.DataFrame(
        {"sequence": sequences, "taken_back": [each[0] for each in told], "later": [each[1] for each in told]},
        schema={"sequence": pl.String, "taken_back": pl.Boolean, "later": pl.Int64},
    )
    return (
        rows.join(runs, on="id", how="left", maintain_order="left")
        .join(verdicts, on="sequence", how="left", maintain_order="left")
        .with_columns(pl.col("taken_back").fill_null(False))
    )


def determine_effect(run: int, later: Iterable[int], undoes: Mapping[int, int]) -> tuple[bool, int | None]:
    """Whether a row that `run` and then the `later` ones touched is as if `run` had never touched it, and the first of
    them that stands in the way of taking `run` back.

    A run that took another back left the row as it was before that one; so two runs can be undone in turn.
    """
    standing: tuple[int, ...] = (run,)
    before: dict[int, tuple[int, ...]] = {run: ()}
    for each in later:
        undone = undoes.get(each)
        known = standing
        standing = before[undone] if undone in before and undone is not None else (*standing, each)
        before[each] = known
    if run not in standing:
        return True, None
    return False, next(iter(standing[1:]), None)


def _build_decode_expression(kind: Kind, column: str) -> pl.Expr:
    schema = build_image_schema(kind)
    stored = {COLUMNS.get(kind, {}).get(name, name): type_ for name, type_ in schema.items()}
    decoded = pl.col(column).str.json_decode(pl.Struct(stored)).struct.rename_fields(list(schema))
    return pl.when(pl.col(column).is_not_null()).then(decoded).alias(column)
