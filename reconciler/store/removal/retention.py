"""Find the rows of a customer that are past their retention period, by their stored moments.

They never include active rows, rows that ended with their term, or people whom a held or quarantined part of the last
roster may still mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.ids import CustomerNumber, Moment
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import HoldScope
from reconciler.store.read.roster_frames import ROSTER_ISSUER
from reconciler.store.removal.rows import IMAGE_TABLES, IdsByTable

DELETION_COLUMNS: dict[str, type[pl.DataType]] = {"id": pl.Int64, "tombstoned_at": pl.String}

#: Before-images with personal values: a customer's document names its administrators.
PERSONAL_KINDS = (Kind.USER.value, Kind.ENROLLMENT.value, "identity", "assignment", Kind.CUSTOMER.value)

NEWEST_SQL = """
SELECT max(at) FROM (
    SELECT max(finished_at) AS at FROM runs UNION ALL SELECT max(fetched_at) FROM snapshots
    UNION ALL SELECT max(at) FROM certificates UNION ALL SELECT max(created_at) FROM store
) moments
"""
NEWEST_VOLATILE_SQL = """
SELECT max(at) FROM (
    SELECT max(created_at) AS at FROM sessions UNION ALL SELECT max(at) FROM last_sign_ins
) moments
"""

ENROLLMENTS_SQL = """
SELECT id, tombstoned_at FROM enrollments WHERE customer_id = :customer AND tombstoned_at < :cut
    AND concluded_at IS NULL
UNION
SELECT id, tombstoned_at FROM enrollments WHERE account_id IN (SELECT id FROM {accounts})
"""
CLASSES_SQL = """
SELECT c.id, c.tombstoned_at FROM classes c
WHERE c.customer_id = :customer AND c.tombstoned_at < :cut AND c.concluded_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM enrollments e WHERE e.class_id = c.id AND e.id NOT IN (SELECT id FROM {enrollments}))
"""
ORGS_SQL = """
SELECT o.id, o.tombstoned_at FROM orgs o
WHERE o.customer_id = :customer AND o.tombstoned_at < :cut
    AND NOT EXISTS (SELECT 1 FROM classes c WHERE c.customer_id = :customer AND c.org_id = o.id
                    AND c.id NOT IN (SELECT id FROM {classes}))
    AND o.id NOT IN (SELECT r.org_id FROM account_roles r WHERE r.customer_id = :customer
                     AND r.account_id NOT IN (SELECT id FROM {accounts}))
"""
#: Soft-deleted assignments, and those whose lesson, class or account no longer exists.
ASSIGNMENTS_SQL = """
SELECT s.id FROM assignments s WHERE s.customer_id = :customer AND (
    s.tombstoned_at < :cut
    OR NOT EXISTS (SELECT 1 FROM lessons l WHERE l.id = s.lesson_id)
    OR s.class_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM classes c WHERE c.id = s.class_id)
    OR s.account_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = s.account_id))
"""


#: Customers of which a purge may have to delete or report something. Every part is a superset of what
#: `find_expired_rows` and `build_purge_preview` look at.
CANDIDATES_SQL = " UNION ".join(
    [
        "SELECT id FROM customers WHERE tombstoned_at IS NOT NULL",
        *(
            f"SELECT customer_id FROM {table} WHERE tombstoned_at IS NOT NULL AND customer_id IS NOT NULL"
            for table in IMAGE_TABLES.values()
        ),
        "SELECT s.customer_id FROM assignments s WHERE s.tombstoned_at IS NOT NULL"
        " OR NOT EXISTS (SELECT 1 FROM lessons l WHERE l.id = s.lesson_id)"
        " OR s.class_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM classes c WHERE c.id = s.class_id)"
        " OR s.account_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = s.account_id)",
        "SELECT j.customer_id FROM journal j JOIN runs r ON r.id = j.run_id"
        " WHERE j.customer_id IS NOT NULL AND r.finished_at < :cut",
        *(
            f"SELECT j.customer_id FROM journal j WHERE j.customer_id IS NOT NULL AND j.kind = '{kind.value}'"
            f" AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = j.row_id)"
            for kind, table in IMAGE_TABLES.items()
        ),
        "SELECT customer_id FROM held_plans",
    ]
)


@dataclass(frozen=True, slots=True)
class DeletionSpan:
    """A number of deleted rows, and the moments of the first and last deletion."""

    rows: int
    oldest: Moment
    newest: Moment


@dataclass(frozen=True, slots=True)
class RetentionCounts:
    """The numbers of deleted rows that a purge keeps."""

    #: people whose retention period has not ended
    within_retention: int = 0
    #: when the first of these was deleted; None if there are none
    next_at: Moment | None = None
    #: people whom the last roster may mean
    named_people: int = 0
    #: classes and enrollments that ended with their term
    concluded_rows: int = 0
    #: classes and orgs that remaining rows refer to
    referenced_rows: int = 0


@dataclass(frozen=True, slots=True)
class ExpiredRows:
    ids: IdsByTable
    spans: Mapping[str, DeletionSpan]
    retention: RetentionCounts


def find_newest_moment(store: Store) -> Moment:
    """Return the latest moment stored in the durable and volatile tables."""
    with store.open_connection() as connection:
        moments = [connection.fetch_scalar(NEWEST_SQL)]
    with store.open_connection(volatile=True) as connection:
        moments.append(connection.fetch_scalar(NEWEST_VOLATILE_SQL))
    return max(Moment(moment) for moment in moments if moment is not None)


def list_purge_candidates(store: Store, newest_cut: Moment) -> frozenset[CustomerNumber]:
    """Return the customers of which a purge may have to delete or report something, by one statement for all.

    newest_cut: the latest of all cuts, that of the shortest retention."""
    with store.open_connection() as connection:
        return frozenset(CustomerNumber(row[0]) for row in connection.fetch_rows(CANDIDATES_SQL, {"cut": newest_cut}))


def find_expired_rows(
    connection: Connection, store: Store, customer_number: CustomerNumber | None, cut: Moment
) -> ExpiredRows:
    """Return the rows past retention.

    customer_number: None for the catalog's lessons. cut: rows deleted before this moment are past retention.
    """
    if customer_number is None:
        lessons = _read_deleted_rows(connection, "lessons", "customer_id IS NULL", cut, customer_number)
        images = connection.fetch_frame(_build_orphan_images_sql("customer_id IS NULL"), {"id": pl.Int64})["id"]
        within, next_at = _count_within_retention(connection, "lessons", "customer_id IS NULL", cut, customer_number)
        return ExpiredRows(
            {"lessons": lessons["id"], "journal": images},
            _build_spans({"lessons": lessons}),
            RetentionCounts(within, next_at),
        )
    facts = {"customer": customer_number, "cut": cut}
    own = "customer_id = :customer"
    accounts = _read_deleted_rows(connection, "accounts", own, cut, customer_number)
    named = _find_roster_people(connection, store, customer_number)
    deleted = {"accounts": accounts.join(named, on="id", how="anti", maintain_order="left")}
    with connection.stage_frame("purged_accounts", deleted["accounts"].select("id")) as people:
        deleted["enrollments"] = connection.fetch_frame(
            ENROLLMENTS_SQL.format(accounts=people), DELETION_COLUMNS, facts
        )
        with connection.stage_frame("purged_enrollments", deleted["enrollments"].select("id")) as enrollments:
            deleted["classes"] = connection.fetch_frame(
                CLASSES_SQL.format(enrollments=enrollments), DELETION_COLUMNS, facts
            )
        with connection.stage_frame("purged_classes", deleted["classes"].select("id")) as classes:
            orgs = connection.fetch_frame(ORGS_SQL.format(accounts=people, classes=classes), DELETION_COLUMNS, facts)
        concluded = _count_concluded_rows(connection, people, facts)
    deleted["orgs"] = _exclude_parents(connection, orgs, customer_number)
    for table in ("communities", "lessons"):
        deleted[table] = _read_deleted_rows(connection, table, own, cut, customer_number)
    ids = {table: frame["id"] for table, frame in deleted.items()}
    ids["assignments"] = connection.fetch_frame(ASSIGNMENTS_SQL, {"id": pl.Int64}, facts)["id"]
    ids["journal"] = _find_old_images(connection, customer_number, cut)
    within, next_at = _count_within_retention(connection, "accounts", own, cut, customer_number)
    retention = RetentionCounts(
        within,
        next_at,
        named_people=accounts.height - deleted["accounts"].height,
        concluded_rows=concluded,
        referenced_rows=_count_referenced_rows(connection, deleted, facts),
    )
    return ExpiredRows(ids, _build_spans(deleted), retention)


def _read_deleted_rows(
    connection: Connection, table: str, owner: str, cut: Moment, customer_number: CustomerNumber | None
) -> pl.DataFrame:
    return connection.fetch_frame(
        f"SELECT id, tombstoned_at FROM {table} WHERE {owner} AND tombstoned_at < :cut ORDER BY id",
        DELETION_COLUMNS,
        {"customer": customer_number, "cut": cut},
    )


def _count_within_retention(
    connection: Connection, table: str, owner: str, cut: Moment, customer_number: CustomerNumber | None
) -> tuple[int, Moment | None]:
    number, oldest = connection.fetch_rows(
        f"SELECT count(*), min(tombstoned_at) FROM {table} WHERE {owner} AND tombstoned_at >= :cut",
        {"customer": customer_number, "cut": cut},
    )[0]
    return int(number), oldest


def _find_roster_people(connection: Connection, store: Store, customer_number: CustomerNumber) -> pl.DataFrame:
    """Return `id` of the deleted accounts that a quarantined row of the last roster may mean, or of all if roster
    changes are held: approving them may restore anybody.
    """
    quarantine = Reader(connection, store.key).load_snapshot_part(customer_number, "quarantine")
    held = connection.fetch_scalar(
        "SELECT count(*) FROM holds WHERE customer_id = :customer AND scope = :scope",
        {"customer": customer_number, "scope": HoldScope.ROSTER.value},
    )
    accounts = connection.fetch_frame(
        "SELECT a.id, i.subject AS name FROM accounts a JOIN identities i ON i.account_id = a.id"
        f" AND +i.issuer_id = {ROSTER_ISSUER} WHERE a.customer_id = :customer AND a.tombstoned_at IS NOT NULL",
        {"id": pl.Int64, "name": pl.String},
        {"customer": customer_number},
    )
    if held:
        # A doubtful roster is not saved, so its people are unknown here.
        return accounts.select("id").unique()
    if quarantine is None:
        return accounts.select("id").clear()
    keys = quarantine.filter(pl.col("kind") == Kind.USER.value)["key"].drop_nulls()
    return accounts.filter(pl.col("name").is_in(keys.implode())).select("id").unique()


def _exclude_parents(connection: Connection, orgs: pl.DataFrame, customer_number: CustomerNumber) -> pl.DataFrame:
    """Return the orgs without those that have a remaining org below them."""
    below = connection.fetch_frame(
        "SELECT id, parent_id FROM orgs WHERE customer_id = :customer AND parent_id IS NOT NULL",
        {"id": pl.Int64, "parent_id": pl.Int64},
        {"customer": customer_number},
    )
    while True:
        needed = below.join(orgs, on="id", how="anti")["parent_id"]
        remaining = orgs.filter(~pl.col("id").is_in(needed.implode()))
        if remaining.height == orgs.height:
            return remaining
        orgs = remaining


def _find_old_images(connection: Connection, customer_number: CustomerNumber, cut: Moment) -> pl.Series:
    """Return ids of the before-images of rows that no longer exist, and of those with personal values that no undo
    within the retention period needs.
    """
    personal = ", ".join(f"'{kind}'" for kind in PERSONAL_KINDS)
    return connection.fetch_frame(
        "SELECT id FROM journal WHERE customer_id = :customer"
        f" AND kind IN ({personal}) AND run_id IN (SELECT id FROM runs WHERE finished_at < :cut)"
        f" UNION {_build_orphan_images_sql('customer_id = :customer')}",
        {"id": pl.Int64},
        {"customer": customer_number, "cut": cut},
    )["id"]


def _build_orphan_images_sql(owner: str) -> str:
    return " UNION ".join(
        f"SELECT j.id FROM journal j WHERE j.{owner} AND j.kind = '{kind.value}'"
        f" AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.id = j.row_id)"
        for kind, table in IMAGE_TABLES.items()
    )


def _count_concluded_rows(connection: Connection, people: str, facts: Mapping[str, object]) -> int:
    """Count concluded classes and enrollments.

    people: a staged table of the people to purge, whose enrollments do not count.
    """
    concluded = "customer_id = :customer AND tombstoned_at < :cut AND concluded_at IS NOT NULL"
    statements = (
        f"SELECT count(*) FROM classes WHERE {concluded}",
        f"SELECT count(*) FROM enrollments WHERE {concluded} AND account_id NOT IN (SELECT id FROM {people})",
    )
    return sum(int(connection.fetch_scalar(statement, facts)) for statement in statements)


def _count_referenced_rows(
    connection: Connection, deleted: Mapping[str, pl.DataFrame], facts: Mapping[str, object]
) -> int:
    deleted_count = sum(
        int(
            connection.fetch_scalar(
                f"SELECT count(*) FROM {which} AND customer_id = :customer AND tombstoned_at < :cut", facts
            )
        )
        for which in ("classes WHERE concluded_at IS NULL", "orgs WHERE 1 = 1")
    )
    return deleted_count - deleted["classes"].height - deleted["orgs"].height


def _build_spans(deleted: Mapping[str, pl.DataFrame]) -> dict[str, DeletionSpan]:
    """Return the spans by table. A row that is purged with a person may have no moment of its own."""
    spans = {}
    for table, frame in deleted.items():
        moments = frame["tombstoned_at"].drop_nulls().sort()
        if frame.height:
            spans[table] = DeletionSpan(
                frame.height, moments[0] if moments.len() else Moment(""), moments[-1] if moments.len() else Moment("")
            )
    return spans
