"""Writing the accounts that a roster changes: their fields, what they are known by, and their roles in orgs."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.roster import Manager
from reconciler.store.writing import ACCOUNTS, Writing, compared_again, with_ids, write


def write_people(writing: Writing, stays: pl.DataFrame, goes: pl.DataFrame, orgs: pl.DataFrame) -> None:
    """stays: changes of people who are to be there; goes: of those who are to be deleted (not done here: only
    their usernames become free, so that others can take them). orgs: sourced_id and id of those that live."""
    issuer = issuer_id(writing, "main", "roster")
    people = with_ids(writing, ACCOUNTS, stays).with_columns(
        pl.col("username").str.to_lowercase().alias("username_key"),
        # Only an account that a launch made becomes the roster's; its owner's or the configuration's keeps its manager.
        pl.when(pl.col("manager").is_null() | (pl.col("manager") == Manager.LTI.value))
        .then(pl.lit(Manager.ROSTER.value))
        .otherwise("manager")
        .alias("managed_by"),
    )
    roles = _roles(people, orgs)
    homeless = roles.filter(pl.col("org_id").is_null())["account_id"]
    if homeless.len():
        people = compared_again(people, pl.col("id").is_in(homeless.implode()))
    live = people.filter(pl.col("live_id").is_not_null())
    _free_usernames(writing, live, goes)
    write(writing, ACCOUNTS, people)
    _bind(writing, issuer, people.filter(pl.col("live_id").is_null()), live)
    _write_roles(writing, _changing_roles(people), roles.drop_nulls("org_id"))


def issuer_id(writing: Writing, name: str, kind: str) -> int:
    """The id of `SLUG/NAME`, made where it is not there yet."""
    facts = {**writing.facts, "name": f"{writing.slug}/{name}", "kind": kind}
    writing.connection.execute(
        "INSERT INTO issuers (customer_id, name, kind) VALUES (:customer, :name, :kind) ON CONFLICT (name) DO NOTHING",
        facts,
    )
    return int(writing.connection.scalar("SELECT id FROM issuers WHERE name = :name", facts))


def _free_usernames(writing: Writing, live: pl.DataFrame, goes: pl.DataFrame) -> None:
    """First everybody lets go of a username, then everybody takes the new one: two people may swap."""
    renamed = live.filter(
        pl.col("username_key").ne_missing(pl.col("before_username").str.to_lowercase())
        | (pl.col("action") == Action.RESTORE.value)
    )
    ids = pl.concat([renamed["live_id"], goes["live_id"]])
    if ids.is_empty():
        return
    with writing.connection.staged("freed_usernames", ids.to_frame()) as freed:
        writing.connection.execute(
            f"UPDATE accounts SET username_key = NULL FROM {freed} s WHERE accounts.id = s.live_id"
        )


def _bind(writing: Writing, issuer: int, new: pl.DataFrame, live: pl.DataFrame) -> None:
    """Every account is known by the sourcedId that its row has now, and by no other of this roster."""
    facts = {**writing.facts, "issuer": issuer}
    bound = live.filter(pl.col("action").is_in([Action.REKEY.value, Action.ADOPT.value, Action.RESTORE.value]))
    if not bound.is_empty():
        with writing.connection.staged("bound_accounts", bound.select("live_id", "key")) as names:
            # The triggers take a row that its run marked as gone for our own doing.
            writing.connection.execute(
                f"UPDATE identities SET run = -:run FROM {names} s WHERE identities.account_id = s.live_id"
                " AND +identities.issuer_id = :issuer AND identities.subject <> s.key",
                facts,
            )
            writing.connection.execute(
                "DELETE FROM identities WHERE run = -:run AND +issuer_id = :issuer"
                f" AND account_id IN (SELECT live_id FROM {names})",
                facts,
            )
            writing.connection.execute(
                "INSERT INTO identities (issuer_id, subject, account_id, customer_id, run)"
                " SELECT CAST(:issuer AS BIGINT), s.key, s.live_id, CAST(:customer AS BIGINT), CAST(:run AS BIGINT)"
                f" FROM {names} s WHERE NOT EXISTS (SELECT 1 FROM identities i"
                " WHERE i.account_id = s.live_id AND +i.issuer_id = :issuer)",
                facts,
            )
    if new.is_empty():
        return
    ids = writing.connection.dialect.allocate(writing.connection, "identities", new.height)
    writing.connection.insert(
        "identities",
        new.select(
            ids.alias("id"),
            pl.lit(issuer, dtype=pl.Int64).alias("issuer_id"),
            pl.col("key").alias("subject"),
            pl.col("id").alias("account_id"),
            pl.lit(writing.customer, dtype=pl.Int64).alias("customer_id"),
            pl.lit(writing.run, dtype=pl.Int64).alias("run"),
        ),
    )


def _changing_roles(people: pl.DataFrame) -> pl.DataFrame:
    return people.filter(pl.col("roles").ne_missing(pl.col("before_roles")))


def _roles(people: pl.DataFrame, orgs: pl.DataFrame) -> pl.DataFrame:
    """account_id, org_id, role of people whose roles change. roles: lines of `ORG=role`, split at the last `=`.
    org_id: null where the org is not there."""
    entries = (
        _changing_roles(people)
        .select(pl.col("id").alias("account_id"), pl.col("roles").str.split("\n").alias("entry"))
        .explode("entry")
        .drop_nulls("entry")
        .select(
            "account_id",
            pl.col("entry").str.extract(r"^(.*)=[^=]*$").alias("sourced_id"),
            pl.col("entry").str.extract(r"=([^=]*)$").alias("role"),
        )
    )
    return (
        entries.join(orgs.rename({"id": "org_id"}), on="sourced_id", how="left")
        .select("account_id", "org_id", "role")
        .sort("account_id", "org_id", "role")
        .unique(maintain_order=True)
    )


def _write_roles(writing: Writing, people: pl.DataFrame, roles: pl.DataFrame) -> None:
    """people: those whose roles change; roles: all that they have from now on."""
    known = people.filter(pl.col("live_id").is_not_null()).select("live_id")
    if not known.is_empty():
        with writing.connection.staged("changed_roles", known) as names:
            writing.connection.execute(
                f"UPDATE account_roles SET run = -:run FROM {names} s WHERE account_roles.account_id = s.live_id",
                writing.facts,
            )
            writing.connection.execute(
                f"DELETE FROM account_roles WHERE run = -:run AND account_id IN (SELECT live_id FROM {names})",
                writing.facts,
            )
    if roles.is_empty():
        return
    writing.connection.insert(
        "account_roles",
        roles.with_columns(
            pl.lit(writing.customer, dtype=pl.Int64).alias("customer_id"),
            pl.lit(writing.run, dtype=pl.Int64).alias("run"),
        ),
    )
