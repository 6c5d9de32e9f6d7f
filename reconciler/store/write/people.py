"""Writing the accounts that a roster changes: their fields, what they are known by, and their roles in orgs."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.roster import Manager
from reconciler.store.write import merges as merging
from reconciler.store.write.journal import record_identities
from reconciler.store.write.rows import ACCOUNTS, Writing, compared_again, entomb, with_ids, write

# What accounts are known by: each by the sourcedId that its row has now, its aliases, and no other of this roster.

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
