"""What one run changed, read back: each row as it was before, whether it is still as the run left it, and the first
later run that touched it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.kind import Kind
from reconciler.model.roster import FIELDS
from reconciler.store.connection import Connection, Parameters
from reconciler.store.journal import image
from reconciler.store.key import StoreKey

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
BESIDE: Schema = {
    "sourced_id": pl.String,
    "managed_by": pl.String,
    "tombstoned_at": pl.String,
    "concluded_at": pl.String,
    "created_run": pl.Int64,
    "origin_file": pl.String,
    "origin_line": pl.Int64,
}
#: Of a row that a run leaves as it was, these may differ all the same.
IMMATERIAL = frozenset(
    {"tombstoned_at", "concluded_at", "created_run", "origin_file", "origin_line", "span_file", "span_line"}
)
DOCUMENT: Schema = {
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

#: made: the run made the row. there: it is still. same: it is as the run left it, as far as images tell. later: the
#: first later run that touched it. file, line: where it comes from now. was: struct of what it was (`image_schema`);
#: null of a row that the run made.
TOUCHED_COLUMNS = ("id", "made", "there", "same", "later", "file", "line", "was")

TEXTS: Schema = {
    "id": pl.Int64,
    "before": pl.String,
    "later": pl.Int64,
    "left": pl.String,
    "now": pl.String,
}
TEXTS_SQL = """
WITH touched (id, entry) AS (
    SELECT row_id, min(id) FROM journal WHERE run_id = :run AND kind = '{kind}' AND {journalled} GROUP BY row_id
    UNION ALL
    SELECT t.id, CAST(NULL AS BIGINT) FROM {table} t WHERE t.created_run = :run AND {owned}
       AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.run_id = :run AND j.kind = '{kind}' AND j.row_id = t.id)
), since (id, entry) AS (
    SELECT j.row_id, min(j.id) FROM journal j JOIN touched ON touched.id = j.row_id
    WHERE j.kind = '{kind}' AND j.run_id > :run GROUP BY j.row_id
)
SELECT w.id, b.before, l.run_id AS later, l.before AS "left", CASE WHEN t.id IS NOT NULL THEN {image} END AS now
FROM touched w
LEFT JOIN journal b ON b.id = w.entry
LEFT JOIN since ON since.id = w.id
LEFT JOIN journal l ON l.id = since.entry
LEFT JOIN {table} t ON t.id = w.id AND {owned}
ORDER BY w.id
"""


def image_schema(kind: Kind) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Of a decoded image: a roster row's fields under the names of `model.roster`, but references by the store's id."""
    if kind not in FIELDS:
        return dict(DOCUMENT)
    types: dict[str, pl.DataType | type[pl.DataType]] = dict(BESIDE)
    for field in FIELDS[kind]:
        if field.name != "bound":
            types[field.name] = pl.Int64 if field.reference or field.boolean else pl.String
    return types


def touched_rows(connection: Connection, kind: Kind, customer: int | None, run: int) -> pl.DataFrame:
    """The columns of TOUCHED_COLUMNS. customer None: the catalogue."""
    table = TABLES[kind]
    if kind is Kind.CUSTOMER:
        owned = "t.id = :customer"
    else:
        owned = "t.customer_id = :customer" if customer is not None else "t.customer_id IS NULL"
    facts: Parameters = {"run": run, "customer": customer}
    sql = TEXTS_SQL.format(
        kind=kind.value,
        table=table,
        owned=owned,
        journalled="customer_id = :customer" if customer is not None else "customer_id IS NULL",
        image=image(connection, kind, table),
    )
    return _decoded(kind, run, connection.frame(sql, TEXTS, facts))


def moved_identities(connection: Connection, customer: int, run: int) -> int:
    """How many sourcedIds the run took from an account that another hand had bound them to."""
    return int(
        connection.scalar(
            "SELECT count(*) FROM journal WHERE run_id = :run AND customer_id = :customer AND kind = 'identity'",
            {"run": run, "customer": customer},
        )
    )


def erased_keys(connection: Connection, key: StoreKey, customer: int, keys: pl.Series) -> pl.Series:
    """Those of `keys`, sourcedIds, whose people were erased and must not come back."""
    traces = {
        trace
        for (trace,) in connection.rows(
            "SELECT trace FROM erased WHERE customer_id = :customer", {"customer": customer}
        )
    }
    if not traces:
        return keys.clear()
    # No set operation makes an HMAC; this asks it only where somebody was erased, of those who would come back.
    known = keys.drop_nulls().unique(maintain_order=True)
    return known.filter(pl.Series([erasure_trace(key, customer, each) in traces for each in known], dtype=pl.Boolean))


def erasure_trace(key: StoreKey, customer: int, sourced_id: str) -> str:
    """What the store keeps of somebody who was erased: it knows them again and says nothing of them."""
    return key.hmac_hex("erased", f"{customer}\0{sourced_id}")


def _decoded(kind: Kind, run: int, texts: pl.DataFrame) -> pl.DataFrame:
    images = texts.with_columns(_image(kind, name) for name in ("before", "left", "now"))
    was, left, now = pl.col("before"), pl.col("left"), pl.col("now")
    there = now.is_not_null()
    made = was.is_null() | (was.struct.field("created_run") == run).fill_null(False)
    alive = [image.struct.field("tombstoned_at").is_null() for image in (left, now)]
    same_fields = [
        left.struct.field(name).eq_missing(now.struct.field(name))
        for name in image_schema(kind)
        if name not in IMMATERIAL
    ]
    return images.select(
        "id",
        made.alias("made"),
        there.alias("there"),
        (pl.col("later").is_null() | pl.all_horizontal(alive[0] == alive[1], *same_fields)).alias("same"),
        "later",
        now.struct.field("origin_file").alias("file"),
        now.struct.field("origin_line").alias("line"),
        was.alias("was"),
    )


def _image(kind: Kind, column: str) -> pl.Expr:
    schema = image_schema(kind)
    stored = {COLUMNS.get(kind, {}).get(name, name): type_ for name, type_ in schema.items()}
    decoded = pl.col(column).str.json_decode(pl.Struct(stored)).struct.rename_fields(list(schema))
    return pl.when(pl.col(column).is_not_null()).then(decoded).alias(column)
