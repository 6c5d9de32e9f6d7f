"""Writing the accounts that a roster changes: their fields, what they are known by, and their roles in orgs."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.roster import Manager
from reconciler.store import merging
from reconciler.store.binding import bind
from reconciler.store.writing import ACCOUNTS, Writing, compared_again, entomb, with_ids, write


def write_people(writing: Writing, stays: pl.DataFrame, goes: pl.DataFrame, orgs: pl.DataFrame) -> None:
    """stays: changes of people who are to be there; goes: of those who are to be deleted (done here only for those
    who go into another account; of the others the usernames become free, so that others can take them). orgs:
    sourced_id and id of those that live."""
    people = with_ids(writing, ACCOUNTS, stays).with_columns(
        pl.col("username").str.to_lowercase().alias("username_key"),
        # An account that a launch made becomes the roster's, and one that the configuration names no more; its owner's
        # or the configuration's keeps its manager.
        pl.when(
            pl.col("bound").fill_null(True)
            & (pl.col("manager").is_null() | (pl.col("manager") == Manager.LTI.value) | _dismissed(writing, stays))
        )
        .then(pl.lit(Manager.ROSTER.value))
        .otherwise("manager")
        .alias("managed_by"),
    )
    roles = _roles(people, orgs)
    homeless = roles.filter(pl.col("org_id").is_null())["account_id"]
    if homeless.len():
        people = compared_again(people, pl.col("id").is_in(homeless.implode()))
    _free_usernames(writing, people.filter(pl.col("live_id").is_not_null()), goes)
    write(writing, ACCOUNTS, people)
    _merge_identities(writing, stays, goes)
    bind(writing, people)
    _write_roles(writing, _changing_roles(people), roles.drop_nulls("org_id"))


def _merge_identities(writing: Writing, stays: pl.DataFrame, goes: pl.DataFrame) -> None:
    """Before anybody is bound: a sourcedId is one account's at a time. Who goes is deleted first, while the image of
    the account can still say what it was known by."""
    merged = goes.filter(pl.col("into").is_not_null())
    if not merged.is_empty():
        pairs = merging.pairs_of(writing, stays, merged)
        entomb(writing, ACCOUNTS, merged)
        merging.take_identities(writing, pairs)
    parted = stays.filter(pl.col("into").is_not_null())
    if not parted.is_empty():
        merging.give_back_identities(writing, merging.pairs_of(writing, stays, parted))


def merge_the_rest(writing: Writing, people: pl.DataFrame) -> None:
    """What else a merged account had, and what one that comes back had. people: all changes of people, carried out,
    and those of enrollments with them."""
    if people["into"].null_count() == people.height:
        return
    going = pl.col("action") == Action.DELETE.value
    stays, goes = people.filter(~going), people.filter(going & pl.col("into").is_not_null())
    if not goes.is_empty():
        merging.take_the_rest(writing, merging.pairs_of(writing, stays, goes))
    parted = stays.filter(pl.col("into").is_not_null())
    if not parted.is_empty():
        merging.give_back_the_rest(writing, merging.pairs_of(writing, stays, parted))


def _dismissed(writing: Writing, people: pl.DataFrame) -> pl.Expr:
    """True for accounts that were the configuration's in the plan and, after what this apply wrote of it, are not."""
    configured = pl.col("manager") == Manager.CONFIG.value
    if people.filter(configured).is_empty():
        return pl.lit(False)
    named = writing.connection.frame(
        "SELECT id FROM accounts WHERE customer_id = :customer AND managed_by = :manager AND tombstoned_at IS NULL",
        {"id": pl.Int64},
        {**writing.facts, "manager": Manager.CONFIG.value},
    )["id"]
    return configured & ~pl.col("live_id").is_in(named.implode())


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
