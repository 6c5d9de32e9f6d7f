"""Write the accounts that a roster changes: their fields, identities and roles in orgs."""

import polars as pl

from reconciler.model.change import Action
from reconciler.model.roster import AccountManager
from reconciler.model.text_form import make_caseless_column
from reconciler.store.write import merges as merging
from reconciler.store.write import rows
from reconciler.store.write.journal import record_identities

REBINDING_ACTIONS = (Action.REKEY.value, Action.ADOPT.value, Action.RESTORE.value)

#: Rows of `staged` (key, account_id) whose sourcedId is bound to another account that no longer exists or has a further
#: sourcedId. If it is that account's only one, binding it again fails.
MOVED_SQL = """
SELECT i.id AS identity_id, s.key, s.account_id, s.alias FROM {staged} s
JOIN identities i ON i.issuer_id = :issuer AND i.subject = s.key
WHERE i.account_id <> s.account_id
  AND (NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = i.account_id)
       OR EXISTS (SELECT 1 FROM identities o
                  WHERE o.account_id = i.account_id AND +o.issuer_id = :issuer AND o.id <> i.id))
"""
MOVED_SCHEMA = {"identity_id": pl.Int64, "key": pl.String, "account_id": pl.Int64, "alias": pl.Int64}
WANTED_SCHEMA = {"key": pl.String, "account_id": pl.Int64, "alias": pl.Int64}


def ensure_issuer(context: rows.WriteContext, name: str, kind: str) -> int:
    """Return the id of the issuer `SLUG/NAME`; create it if it does not exist."""
    facts = {**context.facts, "name": f"{context.slug}/{name}", "kind": kind}
    context.connection.execute(
        "INSERT INTO issuers (customer_id, name, kind) VALUES (:customer, :name, :kind) ON CONFLICT (name) DO NOTHING",
        facts,
    )
    return int(context.connection.fetch_scalar("SELECT id FROM issuers WHERE name = :name", facts))


def bind_identities(context: rows.WriteContext, people: pl.DataFrame) -> None:
    """Bind accounts to their present sourcedId and aliases, and to no others of this roster.

    people: written account changes, with `id`.
    """
    issuer = ensure_issuer(context, "main", "roster")
    new = pl.col("live_id").is_null()
    leaving = ~pl.col("bound").fill_null(True)
    rebound = ~new & pl.col("action").is_in(REBINDING_ACTIONS)
    renamed = pl.col("aliases").ne_missing(pl.col("before_aliases"))
    bindings = people.filter(new | rebound | leaving | renamed).select(
        "key", pl.col("id").alias("account_id"), "aliases", leaving.alias("leaving"), (rebound | leaving).alias("anew")
    )
    if bindings.is_empty():
        return
    facts = {**context.facts, "issuer": issuer}
    wanted = _build_wanted_identities(bindings.filter(~pl.col("leaving")))
    known = bindings.join(people.filter(~new), left_on="account_id", right_on="id", how="semi")
    _unbind_identities(context, known.select("account_id", pl.col("anew").cast(pl.Int64)), wanted, facts)
    taken = _take_over_identities(context, wanted, facts)
    _insert_identities(context, wanted.join(taken, on="key", how="anti", maintain_order="left"), facts)


def _build_wanted_identities(bindings: pl.DataFrame) -> pl.DataFrame:
    """Return every sourcedId that the accounts should have, as `WANTED_SCHEMA`; alias is 1 or null."""
    main = bindings.select("key", "account_id", pl.lit(None, dtype=pl.Int64).alias("alias"))
    further = bindings.filter(pl.col("aliases").is_not_null())
    if further.is_empty():
        return main
    aliases = further.select(
        pl.col("aliases").str.split("\n").alias("key"), "account_id", pl.lit(1, dtype=pl.Int64).alias("alias")
    ).explode("key")
    return pl.concat([main, aliases])


def _unbind_identities(
    context: rows.WriteContext, accounts: pl.DataFrame, wanted: pl.DataFrame, facts: dict[str, object]
) -> None:
    """Remove the accounts' sourcedIds that are not in `wanted`.

    accounts: `account_id`, and `anew`: 1 to remove any sourcedId, 0 to remove only aliases.
    """
    if accounts.is_empty():
        return
    connection = context.connection
    theirs = wanted.join(accounts, on="account_id", how="semi")
    with (
        connection.stage_frame("bound_accounts", accounts) as names,
        connection.stage_frame("kept_identities", theirs) as kept,
    ):
        # The triggers recognize reconciler's own deletes by a negative run.
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


def _take_over_identities(context: rows.WriteContext, wanted: pl.DataFrame, facts: dict[str, object]) -> pl.DataFrame:
    """Move wanted sourcedIds away from accounts to which they were bound outside reconciler.

    Return the rows of `wanted` that are bound now.
    """
    connection = context.connection
    if not connection.fetch_rows("SELECT 1 FROM identities WHERE issuer_id = :issuer LIMIT 1", facts):
        return wanted.clear()
    with connection.stage_frame("wanted_identities", wanted) as names:
        moved = connection.fetch_frame(MOVED_SQL.format(staged=names), MOVED_SCHEMA, facts)
        bound = connection.fetch_frame(
            f"SELECT s.key, s.account_id, s.alias FROM {names} s JOIN identities i ON i.issuer_id = :issuer"
            " AND i.subject = s.key AND i.account_id = s.account_id",
            WANTED_SCHEMA,
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
        with connection.stage_frame("moved_identities", moved.select("identity_id", "account_id", "alias")) as names:
            record_identities(connection, names, facts)
            connection.execute(
                f"UPDATE identities SET account_id = s.account_id, alias = s.alias, run = :run FROM {names} s"
                " WHERE identities.id = s.identity_id",
                facts,
            )
    return pl.concat([bound, moved.select(list(WANTED_SCHEMA))])


def _insert_identities(context: rows.WriteContext, wanted: pl.DataFrame, facts: dict[str, object]) -> None:
    if wanted.is_empty():
        return
    ids = context.connection.generate_ids("identities", wanted.height)
    context.connection.insert_frame(
        "identities",
        wanted.select(
            ids.alias("id"),
            pl.lit(facts["issuer"], dtype=pl.Int64).alias("issuer_id"),
            pl.col("key").alias("subject"),
            "account_id",
            pl.lit(context.customer_number, dtype=pl.Int64).alias("customer_id"),
            pl.lit(context.run, dtype=pl.Int64).alias("run"),
            "alias",
        ),
    )


def write_people(
    context: rows.WriteContext, upserts: pl.DataFrame, deletions: pl.DataFrame, orgs: pl.DataFrame
) -> None:
    """Write changed people. Of deleted people, write only those merged into another account, and free the usernames of
    the others.

    orgs: sourced_id and id of the active orgs.
    """
    people = rows.assign_row_ids(context, rows.ACCOUNTS, upserts)
    people = people.with_columns(
        make_caseless_column(people["username"]).alias("username_key"),
        # The roster takes over accounts from launches and those that the configuration no longer names; other accounts
        # keep their manager.
        pl.when(
            pl.col("bound").fill_null(True)
            & (
                pl.col("manager").is_null()
                | (pl.col("manager") == AccountManager.LTI.value)
                | _is_dismissed(context, upserts)
            )
        )
        .then(pl.lit(AccountManager.ROSTER.value))
        .otherwise("manager")
        .alias("managed_by"),
    )
    roles = _resolve_roles(people, orgs)
    homeless = roles.filter(pl.col("org_id").is_null())["account_id"]
    if homeless.len():
        people = rows.reset_unresolved_fingerprints(people, pl.col("id").is_in(homeless.implode()))
    _release_usernames(context, people.filter(pl.col("live_id").is_not_null()), deletions)
    rows.write_rows(context, rows.ACCOUNTS, people)
    _merge_identities(context, upserts, deletions)
    bind_identities(context, people)
    _write_roles(context, _filter_changed_roles(people), roles.drop_nulls("org_id"))


def _merge_identities(context: rows.WriteContext, upserts: pl.DataFrame, deletions: pl.DataFrame) -> None:
    """Move the identities of merged and separated accounts. Call before `bind_identities`, because a sourcedId belongs
    to one account at a time; merged accounts are deleted first, while their images still include their sourcedIds.
    """
    merged = deletions.filter(pl.col("into").is_not_null())
    if not merged.is_empty():
        pairs = merging.match_account_pairs(context, upserts, merged)
        rows.entomb_rows(context, rows.ACCOUNTS, merged)
        merging.move_identities(context, pairs)
    parted = upserts.filter(pl.col("into").is_not_null())
    if not parted.is_empty():
        merging.restore_identities(context, merging.match_account_pairs(context, upserts, parted))


def merge_remaining_rows(context: rows.WriteContext, people: pl.DataFrame) -> None:
    """Move the other rows of merged and separated accounts. Call after all changes of people and enrollments are
    written. people: all changes of people.
    """
    if people["into"].null_count() == people.height:
        return
    deleted = pl.col("action") == Action.DELETE.value
    upserts, merged = people.filter(~deleted), people.filter(deleted & pl.col("into").is_not_null())
    if not merged.is_empty():
        merging.move_remaining_rows(context, merging.match_account_pairs(context, upserts, merged))
    parted = upserts.filter(pl.col("into").is_not_null())
    if not parted.is_empty():
        merging.restore_remaining_rows(context, merging.match_account_pairs(context, upserts, parted))


def _is_dismissed(context: rows.WriteContext, people: pl.DataFrame) -> pl.Expr:
    """Return an expression for accounts that the configuration managed in the plan but no longer does in this apply."""
    configured = pl.col("manager") == AccountManager.CONFIG.value
    if people.filter(configured).is_empty():
        return pl.lit(False)
    named = context.connection.fetch_frame(
        "SELECT id FROM accounts WHERE customer_id = :customer AND managed_by = :manager AND tombstoned_at IS NULL",
        {"id": pl.Int64},
        {**context.facts, "manager": AccountManager.CONFIG.value},
    )["id"]
    return configured & ~pl.col("live_id").is_in(named.implode())


def _release_usernames(context: rows.WriteContext, live: pl.DataFrame, deletions: pl.DataFrame) -> None:
    """Free all usernames that change before any is assigned, so that two people can swap theirs."""
    renamed = live.filter(
        pl.col("username_key").ne_missing(make_caseless_column(live["before_username"]))
        | (pl.col("action") == Action.RESTORE.value)
    )
    ids = pl.concat([renamed["live_id"], deletions["live_id"]])
    if ids.is_empty():
        return
    with context.connection.stage_frame("freed_usernames", ids.to_frame()) as freed:
        context.connection.execute(
            f"UPDATE accounts SET username_key = NULL FROM {freed} s WHERE accounts.id = s.live_id"
        )


def _filter_changed_roles(people: pl.DataFrame) -> pl.DataFrame:
    return people.filter(pl.col("roles").ne_missing(pl.col("before_roles")))


def _resolve_roles(people: pl.DataFrame, orgs: pl.DataFrame) -> pl.DataFrame:
    """Return (account_id, org_id, role) of people whose roles change; org_id is null if the org does not exist.

    The `roles` field has lines of `ORG=role`, split at the last `=`.
    """
    entries = (
        _filter_changed_roles(people)
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


def _write_roles(context: rows.WriteContext, people: pl.DataFrame, roles: pl.DataFrame) -> None:
    """Replace the roles of people. roles: all roles that they have from now on."""
    known = people.filter(pl.col("live_id").is_not_null()).select("live_id")
    if not known.is_empty():
        with context.connection.stage_frame("changed_roles", known) as names:
            context.connection.execute(
                f"UPDATE account_roles SET run = -:run FROM {names} s WHERE account_roles.account_id = s.live_id",
                context.facts,
            )
            context.connection.execute(
                f"DELETE FROM account_roles WHERE run = -:run AND account_id IN (SELECT live_id FROM {names})",
                context.facts,
            )
    if roles.is_empty():
        return
    context.connection.insert_frame(
        "account_roles",
        roles.with_columns(
            pl.lit(context.customer_number, dtype=pl.Int64).alias("customer_id"),
            pl.lit(context.run, dtype=pl.Int64).alias("run"),
        ),
    )
