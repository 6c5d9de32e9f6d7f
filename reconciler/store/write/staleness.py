"""Refuse a plan whose changes to a customer would differ from what was reviewed.

Each row to change must be the one that the plan names. Beyond that, nothing is stale while the customer's version is
the one the plan saw. Otherwise only four things count: the rows that the plan changes, the keys that it creates, the
limits that it counts toward, and the customer's configuration; never other customers or sign-ins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.ids import CustomerId, CustomerNumber, Moment, RunId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan
from reconciler.model.roster import list_field_names
from reconciler.planning.frames import BEFORE_PREFIX
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StalePlan
from reconciler.store.key import StoreKey
from reconciler.store.read import roster_frames
from reconciler.store.read.before_images import filter_erased_keys
from reconciler.store.read.limit_uses import has_later_limit_use
from reconciler.store.read.roster_frames import ROSTER_ISSUER
from reconciler.store.write.rows import TABLES

NAMED_SQL = """
SELECT s.key FROM {staged} s
WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = s.live_id AND t.customer_id = :customer {named})
"""
#: s.bound is the sourcedId that the row should have; s.free is 1 if an account may have none.
BY_KEY = "AND t.sourced_id = s.bound"
BY_IDENTITY = f"""
AND (EXISTS (SELECT 1 FROM identities i
             WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER} AND i.subject = s.bound)
     OR (s.free = 1 AND NOT EXISTS (SELECT 1 FROM identities i
                                    WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER})))
"""


def find_misnamed_rows(
    connection: Connection, customer_number: CustomerNumber, kind: Kind, frame: pl.DataFrame
) -> pl.DataFrame:
    """Return `key` of the rows of a change frame whose row in the store is not the customer's or has another sourcedId
    than in the plan. This can happen even if the store did not change, because a plan may come from a file.
    """
    known = frame.filter(pl.col("live_id").is_not_null()).select("key", "former_key", "action", "live_id")
    if known.is_empty():
        return pl.DataFrame(schema={"key": pl.String})
    adopted = pl.col("action") == Action.ADOPT.value
    # A restored person may have been found by an identifier, without any sourcedId.
    returned = (pl.col("action") == Action.RESTORE.value) & pl.col("former_key").is_null()
    rows = known.select(
        "key",
        "live_id",
        pl.when(~adopted).then(pl.coalesce("former_key", "key")).alias("bound"),
        (adopted | returned).cast(pl.Int64).alias("free"),
    )
    named = BY_IDENTITY if kind is Kind.USER else BY_KEY
    with connection.stage_frame("named_rows", rows) as staged:
        return connection.fetch_frame(
            NAMED_SQL.format(staged=staged, table=TABLES[kind].name, named=named),
            {"key": pl.String},
            {"customer": customer_number},
        )


@dataclass(frozen=True, slots=True)
class CustomerState:
    """The present state of a customer, whose row is locked until the transaction ends."""

    #: 0 for the catalog
    id: CustomerNumber
    settings_digest: str | None
    version: tuple[RunId, int]
    tombstoned: bool


def read_customer_state(connection: Connection, slug: CustomerId) -> CustomerState | None:
    row = connection.fetch_row(
        "SELECT c.id, c.settings_digest, coalesce(c.last_run, 0), w.n, c.tombstoned_at"
        " FROM customers c JOIN write_counters w ON w.customer_id = c.id WHERE c.slug = :slug"
        + connection.dialect.for_update,
        {"slug": slug},
    )
    return CustomerState(row[0], row[1], (row[2], row[3]), row[4] is not None) if row else None


def read_catalog_state(connection: Connection) -> CustomerState | None:
    row = connection.fetch_row(
        f"SELECT catalogue_digest, catalogue_run, catalogue_writes FROM store{connection.dialect.for_update}"
    )
    written = row is not None and (row[1], row[2]) != (0, 0)
    return CustomerState(CustomerNumber(0), row[0], (row[1], row[2]), False) if row and written else None


def refuse_stale_plan(
    connection: Connection, plan: CustomerPlan, rows: Mapping[Kind, pl.DataFrame], current: CustomerState | None
) -> bool:
    """Raise StalePlan if the customer changed where it matters to the plan; return True if it did not change at all.

    rows: the change frames to apply.
    """
    seen = plan.precondition
    if current is None and seen.version is None:
        return True
    if current is None or seen.version is None:
        raise StalePlan(plan.id, ((Kind.CUSTOMER.value, plan.id),))
    unmoved = current.version == seen.version and current.settings_digest == seen.settings
    # A null digest says that there was a write outside reconciler, not which: two null digests need not be equal.
    if not unmoved and (current.settings_digest != seen.settings or current.settings_digest is None):
        raise StalePlan(plan.id, ((Kind.CUSTOMER.value, plan.id),))
    changed = [
        (kind.value, key)
        for kind, frame in rows.items()
        for key in _find_stale_keys(connection, current.id, kind, frame, None if unmoved else seen.version)
    ]
    if changed:
        raise StalePlan.from_changes(plan.id, changed)
    return unmoved


def refuse_later_hold(connection: Connection, plan: CustomerPlan, current: CustomerState, now: Moment) -> None:
    """Raise StalePlan if a roster hold is newer than the plan's roster, because the plan would end that hold unseen.

    Ignores holds after `now` (ISO 8601 in UTC), which come from a wrong clock.
    """
    if plan.source is None:
        return
    later = connection.fetch_row(
        "SELECT hold_id FROM holds WHERE customer_id = :customer AND scope = 'roster'"
        " AND created_at > :fetched AND created_at <= :now",
        {"customer": current.id, "fetched": plan.source.fetched_at, "now": now},
    )
    if later is not None and (plan.hold is None or plan.hold.id != later[0]):
        raise StalePlan(plan.id, ((Kind.CUSTOMER.value, plan.id),))


def _find_stale_keys(
    connection: Connection,
    customer_number: CustomerNumber,
    kind: Kind,
    frame: pl.DataFrame,
    seen_version: tuple[RunId, int] | None,
) -> Iterator[str]:
    """Yield the keys of rows that changed since the plan, in the plan's order.

    seen_version: the version that the plan saw; None if the customer still has it.
    """
    found = [find_misnamed_rows(connection, customer_number, kind, frame)]
    if seen_version is not None:
        run, writes = seen_version
        live = _read_live_rows(connection, customer_number, kind, frame)
        found += [
            _find_changed_rows(kind, frame, live),
            _find_taken_keys(frame, live),
            _find_limited_rows(connection, customer_number, frame, run),
        ]
        if kind is Kind.USER:
            found.append(_find_newly_linked(connection, frame, writes))
    stale = pl.concat(found)
    if stale.height:
        yield from frame.join(stale, on="key", how="semi", maintain_order="left")["key"].to_list()


def _read_live_rows(
    connection: Connection, customer_number: CustomerNumber, kind: Kind, frame: pl.DataFrame
) -> pl.DataFrame:
    if kind is Kind.ORG:
        return roster_frames.read_orgs(connection, customer_number)
    if kind is Kind.CLASS:
        return roster_frames.read_classes(connection, customer_number)
    if kind is Kind.USER:
        return _add_roles(
            roster_frames.read_users(connection, customer_number), roster_frames.read_roles(connection, customer_number)
        )
    return pl.concat(
        [
            roster_frames.read_enrollments_by_id(connection, customer_number, frame["live_id"]),
            roster_frames.read_enrollments_by_key(connection, customer_number, frame["key"]),
        ]
    ).unique("id", keep="first", maintain_order=True)


def _add_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Add the `roles` field as `model.roster` writes it."""
    entries = (
        roles.select("account_id", pl.concat_str("org", pl.lit("="), "role").alias("roles"))
        .sort("account_id", "roles")
        .group_by("account_id", maintain_order=True)
        .agg(pl.col("roles").str.join("\n"))
    )
    return users.join(entries, left_on="id", right_on="account_id", how="left", maintain_order="left")


def _find_changed_rows(kind: Kind, frame: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of rows to change that no longer exist, were deleted or restored, or have other fields now."""
    names = list_field_names(kind)
    now = live.select(
        pl.col("id").alias("live_id"),
        pl.col("fingerprint").alias("now"),
        "tombstoned",
        *[pl.col(name).alias(f"now_{name}") for name in names],
    )
    planned = frame.filter(pl.col("live_id").is_not_null()).select(
        "key", "action", "live_id", "seen", *[f"{BEFORE_PREFIX}{name}" for name in names]
    )
    same_fields = pl.all_horizontal(
        [pl.col(f"now_{name}").eq_missing(pl.col(f"{BEFORE_PREFIX}{name}")) for name in names]
    )
    same_row = pl.when(pl.col("seen").is_null()).then(same_fields).otherwise(pl.col("now").eq_missing(pl.col("seen")))
    was_dead = pl.col("action") == Action.RESTORE.value
    same = same_row & (pl.col("tombstoned") == was_dead).fill_null(False)
    return planned.join(now, on="live_id", how="left").filter(~same).select("key")


def _find_taken_keys(frame: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Return the keys that a row would get but another row has."""
    holders = live.select(pl.col("sourced_id").alias("key"), pl.col("id").alias("holder"))
    return frame.join(holders, on="key").filter(pl.col("holder").ne_missing(pl.col("live_id"))).select("key")


def _find_limited_rows(
    connection: Connection, customer_number: CustomerNumber, frame: pl.DataFrame, run: RunId
) -> pl.DataFrame:
    """Return the keys of all rows that count toward a limit, if a run since the plan counted toward it too: two plans
    may each keep a limit that they exceed together.
    """
    counted = frame.filter(pl.col("limits").is_not_null())
    if counted.is_empty():
        return counted.select("key")
    names = counted["limits"].str.split(",").explode()
    return (counted if has_later_limit_use(connection, customer_number, run, names) else counted.clear()).select("key")


def _find_newly_linked(connection: Connection, frame: pl.DataFrame, writes: int) -> pl.DataFrame:
    """Return the keys of people to delete who were bound to an identity since the plan."""
    gone = frame.filter(pl.col("action") == Action.DELETE.value).select("key", "live_id")
    if gone.is_empty():
        return pl.DataFrame(schema={"key": pl.String})
    with connection.stage_frame("leaving_accounts", gone) as leaving:
        return connection.fetch_frame(
            f"SELECT DISTINCT s.key FROM {leaving} s JOIN identities i ON i.account_id = s.live_id"
            " WHERE i.write_number > :writes",
            {"key": pl.String},
            {"writes": writes},
        )


CREATING_ACTIONS = (Action.CREATE.value, Action.RESTORE.value, Action.REKEY.value, Action.ADOPT.value)


def refuse_erased_people(
    connection: Connection,
    key: StoreKey,
    customer_number: CustomerNumber,
    plan: CustomerPlan,
    rows: Mapping[Kind, pl.DataFrame],
) -> None:
    """Raise StalePlan if the plan, made before an erasure, would restore an erased person.

    Ignores people who have an active account again. rows: the change frames to apply.
    """
    people = rows.get(Kind.USER)
    named = [people.filter(pl.col("action").is_in(CREATING_ACTIONS))["key"]] if people is not None else []
    kept = plan.snapshot.get("users") if plan.snapshot else None
    if kept is not None:
        named.append(kept["sourced_id"])
    if not named:
        return
    erased = filter_erased_keys(connection, key, customer_number, pl.concat([each.rename("key") for each in named]))
    if not erased.len():
        return
    with connection.stage_frame("erased_people", erased.to_frame("key")) as staged:
        gone = connection.fetch_rows(
            f"SELECT s.key FROM {staged} s WHERE NOT EXISTS (SELECT 1 FROM identities i"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'roster' JOIN accounts a ON a.id = i.account_id"
            " WHERE i.customer_id = :customer AND i.subject = s.key AND a.tombstoned_at IS NULL) ORDER BY s.key",
            {"customer": customer_number},
        )
    if gone:
        raise StalePlan.from_changes(plan.id, ((Kind.USER.value, str(sourced_id)) for (sourced_id,) in gone))
