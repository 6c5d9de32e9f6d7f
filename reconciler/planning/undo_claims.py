"""Who of those that come back as they were would take what somebody else has by now: a sourcedId, or a username."""

from __future__ import annotations

import polars as pl

from reconciler.planning.undo_rows import ends

ALIAS_SEPARATOR = "\n"


def without_taken(rows: pl.DataFrame, users: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """rows: people with `id`, `action`, `key` and fields as they are to be. users: all accounts as they are now.

    Returns the rows that may go on, and those that may not. Who may not keeps what they have, so it is asked until
    nobody clashes. A further sourcedId that is somebody else's is only left out.
    """
    going, taken = rows, [rows.clear()]
    while True:
        going = _without_others_aliases(going, users)
        clashing = pl.concat([_clashes(going, users, "key"), _clashes(going, users, "username")]).unique()
        if not clashing.len():
            return going, pl.concat(taken)
        lost = pl.col("id").is_in(clashing.implode())
        taken.append(going.filter(lost))
        going = going.filter(~lost)


def _clashes(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.Series:
    """Ids of rows that take what another account has afterwards and they do not have now."""
    claims = pl.concat([_claims_of_rows(rows, what), _claims_of_others(rows, users, what)])
    twice = claims.filter(pl.col("claim").is_duplicated())["claim"].unique()
    now = _claims_of_others(rows.clear(), users, what)
    taking = _claims_of_rows(rows.filter(~ends()), what).filter(pl.col("claim").is_in(twice.implode()))
    return taking.join(now, on=["id", "claim"], how="anti")["id"]


def _claims_of_rows(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """A deleted account keeps its sourcedId, not its username; one that is unbound keeps none."""
    if what == "username":
        mine = rows.filter(~ends()).select("id", pl.col("username").str.to_lowercase().alias("claim"))
    else:
        mine = rows.filter(ends() | pl.col("bound")).select("id", pl.col("key").alias("claim"))
    return mine.drop_nulls("claim")


def _claims_of_others(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.DataFrame:
    others = users.join(rows.select("id"), on="id", how="anti")
    if what == "username":
        alive = others.filter(~pl.col("tombstoned"))
        return alive.select("id", pl.col("username").str.to_lowercase().alias("claim")).drop_nulls("claim")
    main = others.select("id", pl.col("sourced_id").alias("claim")).drop_nulls("claim")
    return pl.concat([main, _aliases(others)])


def _aliases(accounts: pl.DataFrame) -> pl.DataFrame:
    if "aliases" not in accounts.columns:
        return pl.DataFrame(schema={"id": pl.Int64, "claim": pl.String})
    return (
        accounts.select("id", pl.col("aliases").str.split(ALIAS_SEPARATOR).alias("claim"))
        .explode("claim")
        .drop_nulls("claim")
    )


def _without_others_aliases(rows: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    if "aliases" not in rows.columns:
        return rows
    wanted = _aliases(rows.filter(~ends()))
    if not wanted.height:
        return rows
    claims = pl.concat([_claims_of_rows(rows, "key"), _claims_of_others(rows, users, "key")])
    free = wanted.join(claims.select("claim"), on="claim", how="anti")
    kept = free.sort("id", "claim").group_by("id").agg(pl.col("claim").str.join(ALIAS_SEPARATOR).alias("kept"))
    return (
        rows.join(kept, on="id", how="left", maintain_order="left")
        .with_columns(pl.when(ends()).then("aliases").otherwise("kept").alias("aliases"))
        .drop("kept")
    )
