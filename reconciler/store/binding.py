"""What accounts are known by: each by the sourcedId that its row has now, its aliases, and no other of this roster.

An alias is a further sourcedId of the same person (one for each school, say). An account that its owner keeps when its
row has left is known by none.
"""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.store.journal import record_identities
from reconciler.store.writing import Writing

REBINDING = (Action.REKEY.value, Action.ADOPT.value, Action.RESTORE.value)

#: Rows of `staged` (key, account_id) whose sourcedId is bound to another account that is gone, or that has a sourcedId
#: beside it. To one that has no other it is a row's own, and binding it again fails.
MOVED_SQL = """
SELECT i.id AS identity_id, s.key, s.account_id, s.alias FROM {staged} s
JOIN identities i ON i.issuer_id = :issuer AND i.subject = s.key
WHERE i.account_id <> s.account_id
  AND (NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = i.account_id)
       OR EXISTS (SELECT 1 FROM identities o
                  WHERE o.account_id = i.account_id AND +o.issuer_id = :issuer AND o.id <> i.id))
"""
MOVED = {"identity_id": pl.Int64, "key": pl.String, "account_id": pl.Int64, "alias": pl.Int64}
WANTED = {"key": pl.String, "account_id": pl.Int64, "alias": pl.Int64}


def issuer_id(writing: Writing, name: str, kind: str) -> int:
    """The id of `SLUG/NAME`, made where it is not there yet."""
    facts = {**writing.facts, "name": f"{writing.slug}/{name}", "kind": kind}
    writing.connection.execute(
        "INSERT INTO issuers (customer_id, name, kind) VALUES (:customer, :name, :kind) ON CONFLICT (name) DO NOTHING",
        facts,
    )
    return int(writing.connection.scalar("SELECT id FROM issuers WHERE name = :name", facts))


def bind(writing: Writing, people: pl.DataFrame) -> None:
    """people: account changes with `id`, written already."""
    issuer = issuer_id(writing, "main", "roster")
    new = pl.col("live_id").is_null()
    leaving = ~pl.col("bound").fill_null(True)
    rebound = ~new & pl.col("action").is_in(REBINDING)
    renamed = pl.col("aliases").ne_missing(pl.col("before_aliases"))
    bindings = people.filter(new | rebound | leaving | renamed).select(
        "key", pl.col("id").alias("account_id"), "aliases", leaving.alias("leaving"), (rebound | leaving).alias("anew")
    )
    if bindings.is_empty():
        return
    facts = {**writing.facts, "issuer": issuer}
    wanted = _wanted(bindings.filter(~pl.col("leaving")))
    known = bindings.join(people.filter(~new), left_on="account_id", right_on="id", how="semi")
    _unbind(writing, known.select("account_id", pl.col("anew").cast(pl.Int64)), wanted, facts)
    taken = _take_over(writing, wanted, facts)
    _insert(writing, wanted.join(taken, on="key", how="anti", maintain_order="left"), facts)


def _wanted(bindings: pl.DataFrame) -> pl.DataFrame:
    """`key`, `account_id`, `alias` (1 or null): every sourcedId that these accounts are to be known by."""
    main = bindings.select("key", "account_id", pl.lit(None, dtype=pl.Int64).alias("alias"))
    further = bindings.filter(pl.col("aliases").is_not_null())
    if further.is_empty():
        return main
    aliases = further.select(
        pl.col("aliases").str.split("\n").alias("key"), "account_id", pl.lit(1, dtype=pl.Int64).alias("alias")
    ).explode("key")
    return pl.concat([main, aliases])


def _unbind(writing: Writing, accounts: pl.DataFrame, wanted: pl.DataFrame, facts: dict[str, object]) -> None:
    """accounts: `account_id`, and `anew`: 1 where nothing but `wanted` is theirs, 0 where that is true of aliases."""
    if accounts.is_empty():
        return
    connection = writing.connection
    theirs = wanted.join(accounts, on="account_id", how="semi")
    with connection.staged("bound_accounts", accounts) as names, connection.staged("kept_identities", theirs) as kept:
        # The triggers take a row that its run marked as gone for our own doing.
        connection.execute(
            f"UPDATE identities SET run = -:run FROM {names} s WHERE identities.account_id = s.account_id"
            " AND +identities.issuer_id = :issuer AND (s.anew = 1 OR identities.alias = 1)"
            f" AND (identities.account_id, identities.subject) NOT IN (SELECT account_id, key FROM {kept})",
            facts,
        )
        connection.execute(
            "DELETE FROM identities WHERE run = -:run AND +issuer_id = :issuer"
            f" AND account_id IN (SELECT account_id FROM {names})",
            facts,
        )


def _take_over(writing: Writing, wanted: pl.DataFrame, facts: dict[str, object]) -> pl.DataFrame:
    """Gives a row its sourcedId where another hand left it with an account that it does not name. Returns the rows of
    `wanted` that have theirs now."""
    connection = writing.connection
    if not connection.rows("SELECT 1 FROM identities WHERE issuer_id = :issuer LIMIT 1", facts):
        return wanted.clear()
    with connection.staged("wanted_identities", wanted) as names:
        moved = connection.frame(MOVED_SQL.format(staged=names), MOVED, facts)
        bound = connection.frame(
            f"SELECT s.key, s.account_id, s.alias FROM {names} s JOIN identities i ON i.issuer_id = :issuer"
            " AND i.subject = s.key AND i.account_id = s.account_id",
            WANTED,
            facts,
        )
        if not bound.is_empty():
            connection.execute(
                f"UPDATE identities SET alias = s.alias, run = :run FROM {names} s WHERE identities.issuer_id = :issuer"
                " AND identities.subject = s.key AND identities.account_id = s.account_id"
                " AND coalesce(identities.alias, 0) <> coalesce(s.alias, 0)",
                facts,
            )
    if not moved.is_empty():
        with connection.staged("moved_identities", moved.select("identity_id", "account_id", "alias")) as names:
            record_identities(connection, names, facts)
            connection.execute(
                f"UPDATE identities SET account_id = s.account_id, alias = s.alias, run = :run FROM {names} s"
                " WHERE identities.id = s.identity_id",
                facts,
            )
    return pl.concat([bound, moved.select(list(WANTED))])


def _insert(writing: Writing, wanted: pl.DataFrame, facts: dict[str, object]) -> None:
    if wanted.is_empty():
        return
    ids = writing.connection.dialect.allocate(writing.connection, "identities", wanted.height)
    writing.connection.insert(
        "identities",
        wanted.select(
            ids.alias("id"),
            pl.lit(facts["issuer"], dtype=pl.Int64).alias("issuer_id"),
            pl.col("key").alias("subject"),
            "account_id",
            pl.lit(writing.customer, dtype=pl.Int64).alias("customer_id"),
            pl.lit(writing.run, dtype=pl.Int64).alias("run"),
            "alias",
        ),
    )
