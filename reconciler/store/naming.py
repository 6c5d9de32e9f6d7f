"""Whether the rows that a plan would change are the ones that it names."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.connection import Connection
from reconciler.store.roster_frames import ROSTER_ISSUER
from reconciler.store.writing import TABLES

NAMED_SQL = """
SELECT s.key FROM {staged} s
WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = s.live_id AND t.customer_id = :customer {named})
"""
BY_KEY = "AND t.sourced_id = s.key"
#: s.bound: the sourcedId that the account has, s.free: 1 where it may have none.
BY_IDENTITY = f"""
AND (EXISTS (SELECT 1 FROM identities i
             WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER} AND i.subject = s.bound)
     OR (s.free = 1 AND NOT EXISTS (SELECT 1 FROM identities i
                                    WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER})))
"""


def misnamed(connection: Connection, customer: int, kind: Kind, frame: pl.DataFrame) -> pl.DataFrame:
    """`key` of every row of a change frame whose live row is not the customer's or has another sourcedId than the plan
    says. Holds for a plan that saw the store as it is as well: it may have come by a file."""
    known = frame.filter(pl.col("live_id").is_not_null()).select("key", "former_key", "action", "live_id")
    if known.is_empty():
        return pl.DataFrame(schema={"key": pl.String})
    adopted = pl.col("action") == Action.ADOPT.value
    # Who comes back may have been found by an identifier, without any sourcedId.
    returned = (pl.col("action") == Action.RESTORE.value) & pl.col("former_key").is_null()
    rows = known.select(
        "key",
        "live_id",
        pl.when(~adopted).then(pl.coalesce("former_key", "key")).alias("bound"),
        (adopted | returned).cast(pl.Int64).alias("free"),
    )
    named = BY_IDENTITY if kind is Kind.USER else BY_KEY
    with connection.staged("named_rows", rows) as staged:
        return connection.frame(
            NAMED_SQL.format(staged=staged, table=TABLES[kind].name, named=named),
            {"key": pl.String},
            {"customer": customer},
        )
