"""Count and delete rows permanently by the same table of targets, so that a preview and its removal cannot differ.

The triggers (`migrations.guards`) count a hard delete as a write outside reconciler. No remaining row refers to a row
deleted here, and `preserve_write_counters` restores the counters, so that the next plan sees no drift.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import polars as pl

from reconciler.model.ids import CustomerNumber
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.read.image_digests import PENDING

#: Tables whose rows may be staged by id; rows of `journal` and `assignments` are also found by the rows they refer to.
STAGED_TABLES = (
    "accounts",
    "enrollments",
    "classes",
    "orgs",
    "communities",
    "lessons",
    "assignments",
    "journal",
)
IMAGE_TABLES = {
    Kind.USER: "accounts",
    Kind.ENROLLMENT: "enrollments",
    Kind.CLASS: "classes",
    Kind.ORG: "orgs",
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
}

#: Row ids by table.
IdsByTable = Mapping[str, pl.Series]
#: Numbers of rows by table, without zeros.
RowCounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class RemovalTarget:
    """A set of rows to delete from a table."""

    table: str
    #: SQL condition of the rows
    which: str
    #: True if the rows need a negative run first, by which the triggers recognize reconciler's own deletes
    needs_mark: bool = False


def _build_doomed_condition(column: str, table: str) -> str:
    return f"{column} IN (SELECT id FROM doomed_{table})"


#: The staged rows and the rows that belong to them, ordered so that no remaining row refers to a deleted one.
ROW_TARGETS = (
    RemovalTarget(
        "journal",
        " OR ".join(
            [
                _build_doomed_condition("id", "journal"),
                *(
                    f"(kind = '{kind.value}' AND {_build_doomed_condition('row_id', table)})"
                    for kind, table in IMAGE_TABLES.items()
                ),
            ]
        ),
    ),
    RemovalTarget(
        "assignments",
        " OR ".join(
            [
                _build_doomed_condition("id", "assignments"),
                _build_doomed_condition("account_id", "accounts"),
                _build_doomed_condition("class_id", "classes"),
                _build_doomed_condition("lesson_id", "lessons"),
            ]
        ),
    ),
    RemovalTarget("invitations", _build_doomed_condition("account_id", "accounts")),
    RemovalTarget(
        "memberships",
        f"{_build_doomed_condition('account_id', 'accounts')} OR "
        f"{_build_doomed_condition('community_id', 'communities')}",
    ),
    RemovalTarget(
        "account_roles",
        f"{_build_doomed_condition('account_id', 'accounts')} OR {_build_doomed_condition('org_id', 'orgs')}",
        needs_mark=True,
    ),
    RemovalTarget("identities", _build_doomed_condition("account_id", "accounts"), needs_mark=True),
    RemovalTarget("enrollments", _build_doomed_condition("id", "enrollments")),
    RemovalTarget("classes", _build_doomed_condition("id", "classes")),
    RemovalTarget("accounts", _build_doomed_condition("id", "accounts")),
    RemovalTarget(
        "org_closure",
        f"{_build_doomed_condition('ancestor_id', 'orgs')} OR {_build_doomed_condition('descendant_id', 'orgs')}",
    ),
    RemovalTarget("orgs", _build_doomed_condition("id", "orgs")),
    RemovalTarget("communities", _build_doomed_condition("id", "communities")),
    RemovalTarget("lessons", _build_doomed_condition("id", "lessons")),
)

_OWN = "customer_id = :customer"
_OWN_SNAPSHOTS = f"snapshot_id IN (SELECT id FROM snapshots WHERE {_OWN})"

#: All rows of a customer except its runs, which name nobody and are part of the store's chain.
CUSTOMER_TARGETS = (
    RemovalTarget("journal", _OWN),
    RemovalTarget("run_effects", _OWN),
    RemovalTarget("limit_uses", _OWN),
    RemovalTarget("assignments", _OWN),
    RemovalTarget("invitations", f"account_id IN (SELECT id FROM accounts WHERE {_OWN})"),
    RemovalTarget("memberships", _OWN),
    RemovalTarget("enrollments", _OWN),
    RemovalTarget("classes", _OWN),
    RemovalTarget("accounts", _OWN),
    RemovalTarget("account_roles", _OWN, needs_mark=True),
    RemovalTarget("identities", _OWN, needs_mark=True),
    RemovalTarget("issuers", _OWN),
    RemovalTarget("org_closure", _OWN),
    RemovalTarget("orgs", _OWN),
    RemovalTarget("communities", _OWN),
    RemovalTarget("lessons", _OWN),
    RemovalTarget("secrets", _OWN),
    RemovalTarget("holds", _OWN),
    RemovalTarget("held_plans", _OWN),
    RemovalTarget("syncs", _OWN),
    RemovalTarget("outbox_notices", f"notice_id IN (SELECT id FROM notices WHERE {_OWN})"),
    RemovalTarget("outbox", _OWN),
    RemovalTarget("notices", _OWN),
    RemovalTarget("snapshot_parts", _OWN_SNAPSHOTS),
    RemovalTarget("snapshots", _OWN),
    RemovalTarget("erased", _OWN),
    RemovalTarget("write_counters", _OWN),
    RemovalTarget("customers", "id = :customer"),
)


@contextmanager
def stage_doomed_ids(connection: Connection, ids: IdsByTable) -> Iterator[None]:
    """Hold the ids in temporary tables `doomed_TABLE (id)`, as `ROW_TARGETS` needs them."""
    with ExitStack() as stack:
        for table in STAGED_TABLES:
            known = ids.get(table, pl.Series([], dtype=pl.Int64)).cast(pl.Int64).unique().sort()
            stack.enter_context(connection.stage_frame(f"doomed_{table}", known.to_frame("id")))
        yield


def count_rows(connection: Connection, targets: tuple[RemovalTarget, ...], facts: Parameters) -> RowCounts:
    """Return the numbers of rows to delete by table. `ROW_TARGETS` need `stage_doomed_ids`."""
    counts = {
        target.table: int(connection.fetch_scalar(f"SELECT count(*) FROM {target.table} WHERE {target.which}", facts))
        for target in targets
    }
    return {table: number for table, number in counts.items() if number}


def remove_rows(connection: Connection, targets: tuple[RemovalTarget, ...], facts: Parameters) -> RowCounts:
    """Delete the rows and return what `count_rows` would. Call inside a write transaction, before the certificate is
    issued, which covers the before-images deleted here.
    """
    counts = count_rows(connection, targets, facts)
    for target in targets:
        if target.table not in counts:
            continue
        if target.table == "journal":
            connection.execute(
                "INSERT INTO image_digests (certificate_id, run_id, entry_id)"
                f" SELECT {PENDING}, run_id, id FROM journal WHERE {target.which}",
                facts,
            )
        if target.needs_mark:
            connection.execute(f"UPDATE {target.table} SET run = -1 WHERE {target.which}", facts)
        connection.execute(f"DELETE FROM {target.table} WHERE {target.which}", facts)
    return counts


def blank_limit_uses(connection: Connection) -> None:
    """Blank row and schools in the limit uses of the staged rows; the window still counts the uses.

    A use gets a negative row id of its own, which no row has. Needs `stage_doomed_ids`.
    """
    owners = " OR ".join(
        [
            f"(name = 'classes' AND {_build_doomed_condition('row_id', 'classes')})",
            f"(name = 'enrollments' AND {_build_doomed_condition('row_id', 'enrollments')})",
            _build_doomed_condition("account_id", "accounts"),
            f"(name NOT IN ('classes', 'enrollments') AND {_build_doomed_condition('row_id', 'accounts')})",
        ]
    )
    connection.execute(
        f"UPDATE limit_uses SET row_id = -id, schools = NULL, account_id = NULL, class_id = NULL WHERE {owners}"
    )


def delete_run_effects(connection: Connection, customer_number: CustomerNumber, *, cutoff: str | None = None) -> None:
    """Delete the digests of a customer's effects; no certificate counts them, because they name nobody.

    cutoff: only those of runs that started before this moment; None for all.
    """
    older = " AND run_id IN (SELECT id FROM runs WHERE started_at < :cutoff)" if cutoff is not None else ""
    connection.execute(
        f"DELETE FROM run_effects WHERE customer_id = :customer{older}",
        {"customer": customer_number, "cutoff": cutoff},
    )


@contextmanager
def preserve_write_counters(connection: Connection, customer_number: CustomerNumber | None) -> Iterator[None]:
    """Restore the digests and write counters that the triggers change during the body's hard deletes.

    Locks their rows first, so that a write outside reconciler is counted afterwards. customer_number: None for the
    catalog.
    """
    lock = connection.dialect.for_update
    catalog = connection.fetch_row(f"SELECT catalogue_digest, catalogue_writes FROM store{lock}")
    owner = {"customer": customer_number}
    digest = writes = None
    if customer_number is not None:
        digest = connection.fetch_scalar(f"SELECT settings_digest FROM customers WHERE id = :customer{lock}", owner)
        writes = connection.fetch_scalar(f"SELECT n FROM write_counters WHERE customer_id = :customer{lock}", owner)
    yield
    if catalog is not None:
        connection.execute(
            "UPDATE store SET catalogue_digest = :digest, catalogue_writes = :writes",
            {"digest": catalog[0], "writes": catalog[1]},
        )
    if writes is not None:
        connection.execute(
            "UPDATE customers SET settings_digest = :digest WHERE id = :customer", {**owner, "digest": digest}
        )
        connection.execute(
            "UPDATE write_counters SET n = :writes WHERE customer_id = :customer", {**owner, "writes": writes}
        )
