"""Removing rows for good, in one table that says what goes: what is shown and what is removed cannot differ.

A hard delete is another hand's for the triggers (`migrations.guards`), which count it and doubt what refers to the row.
Nothing that stays refers to what goes here, and `undoubted` puts the counters back: the next plan sees no drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import polars as pl

from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters

#: What rows may be named by their ids; `journal` and `assignments` are also found by what they are of.
STAGED = (
    "accounts",
    "enrollments",
    "classes",
    "orgs",
    "communities",
    "lessons",
    "assignments",
    "journal",
)
IMAGES = {
    Kind.USER: "accounts",
    Kind.ENROLLMENT: "enrollments",
    Kind.CLASS: "classes",
    Kind.ORG: "orgs",
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
}

#: Ids by table; a table that is not there has none.
Ids = Mapping[str, pl.Series]
#: How many rows went, by table.
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Target:
    """which: SQL of the rows of the table. marked: its triggers take a row with a negative run for our own doing."""

    table: str
    which: str
    marked: bool = False


def _doomed(column: str, table: str) -> str:
    return f"{column} IN (SELECT id FROM doomed_{table})"


#: What goes with staged rows, in an order in which nothing is left that refers to a row when it goes.
OF_ROWS = (
    Target(
        "journal",
        " OR ".join(
            [
                _doomed("id", "journal"),
                *(f"(kind = '{kind.value}' AND {_doomed('row_id', table)})" for kind, table in IMAGES.items()),
            ]
        ),
    ),
    Target(
        "assignments",
        " OR ".join(
            [
                _doomed("id", "assignments"),
                _doomed("account_id", "accounts"),
                _doomed("class_id", "classes"),
                _doomed("lesson_id", "lessons"),
            ]
        ),
    ),
    Target("invitations", _doomed("account_id", "accounts")),
    Target("memberships", f"{_doomed('account_id', 'accounts')} OR {_doomed('community_id', 'communities')}"),
    Target("account_roles", f"{_doomed('account_id', 'accounts')} OR {_doomed('org_id', 'orgs')}", marked=True),
    Target("identities", _doomed("account_id", "accounts"), marked=True),
    Target("enrollments", _doomed("id", "enrollments")),
    Target("classes", _doomed("id", "classes")),
    Target("accounts", _doomed("id", "accounts")),
    Target("org_closure", f"{_doomed('ancestor_id', 'orgs')} OR {_doomed('descendant_id', 'orgs')}"),
    Target("orgs", _doomed("id", "orgs")),
    Target("communities", _doomed("id", "communities")),
    Target("lessons", _doomed("id", "lessons")),
)

_OWN = "customer_id = :customer"
_OWN_SNAPSHOTS = f"snapshot_id IN (SELECT id FROM snapshots WHERE {_OWN})"

#: Everything of one customer but its runs, which name nobody and belong to the chain of all.
OF_CUSTOMER = (
    Target("journal", _OWN),
    Target("limit_uses", _OWN),
    Target("assignments", _OWN),
    Target("invitations", f"account_id IN (SELECT id FROM accounts WHERE {_OWN})"),
    Target("memberships", _OWN),
    Target("enrollments", _OWN),
    Target("classes", _OWN),
    Target("accounts", _OWN),
    Target("account_roles", _OWN, marked=True),
    Target("identities", _OWN, marked=True),
    Target("issuers", _OWN),
    Target("org_closure", _OWN),
    Target("orgs", _OWN),
    Target("communities", _OWN),
    Target("lessons", _OWN),
    Target("secrets", _OWN),
    Target("holds", _OWN),
    Target("held_plans", _OWN),
    Target("syncs", _OWN),
    Target("outbox_notices", f"notice_id IN (SELECT id FROM notices WHERE {_OWN})"),
    Target("outbox", _OWN),
    Target("notices", _OWN),
    Target("snapshot_parts", _OWN_SNAPSHOTS),
    Target("snapshots", _OWN),
    Target("erased", _OWN),
    Target("write_counters", _OWN),
    Target("customers", "id = :customer"),
)


@contextmanager
def staged(connection: Connection, ids: Ids) -> Iterator[None]:
    """Within it, `doomed_TABLE (id)` are the ids given, for `OF_ROWS`."""
    with ExitStack() as stack:
        for table in STAGED:
            known = ids.get(table, pl.Series([], dtype=pl.Int64)).cast(pl.Int64).unique().sort()
            stack.enter_context(connection.staged(f"doomed_{table}", known.to_frame("id")))
        yield


def counted(connection: Connection, targets: tuple[Target, ...], facts: Parameters) -> Counts:
    """Only tables of which something goes. Of OF_ROWS, within `staged`."""
    found = {
        target.table: int(connection.scalar(f"SELECT count(*) FROM {target.table} WHERE {target.which}", facts))
        for target in targets
    }
    return {table: number for table, number in found.items() if number}


def remove(connection: Connection, targets: tuple[Target, ...], facts: Parameters) -> Counts:
    """As `counted`, and removes them. Inside a writing transaction."""
    counts = counted(connection, targets, facts)
    for target in targets:
        if target.table not in counts:
            continue
        if target.marked:
            connection.execute(f"UPDATE {target.table} SET run = -1 WHERE {target.which}", facts)
        connection.execute(f"DELETE FROM {target.table} WHERE {target.which}", facts)
    return counts


@contextmanager
def undoubted(connection: Connection, customer: int | None) -> Iterator[None]:
    """Puts back what the triggers make of our own hard deletes, as they found it. Their rows are locked before, so that
    another hand's write is counted afterwards. customer None: the catalogue."""
    lock = connection.dialect.for_update
    catalogue = connection.row(f"SELECT catalogue_digest, catalogue_writes FROM store{lock}")
    owner = {"customer": customer}
    digest = writes = None
    if customer is not None:
        digest = connection.scalar(f"SELECT settings_digest FROM customers WHERE id = :customer{lock}", owner)
        writes = connection.scalar(f"SELECT n FROM write_counters WHERE customer_id = :customer{lock}", owner)
    yield
    if catalogue is not None:
        connection.execute(
            "UPDATE store SET catalogue_digest = :digest, catalogue_writes = :writes",
            {"digest": catalogue[0], "writes": catalogue[1]},
        )
    if writes is not None:
        connection.execute(
            "UPDATE customers SET settings_digest = :digest WHERE id = :customer", {**owner, "digest": digest}
        )
        connection.execute(
            "UPDATE write_counters SET n = :writes WHERE customer_id = :customer", {**owner, "writes": writes}
        )
