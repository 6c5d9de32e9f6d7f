"""Before-images: what every row was before a run changed or deleted it, so that the run can be undone."""

from __future__ import annotations

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.read.image_sql import build_image_sql

#: The action of what follows an account into another.
MERGE_ACTION = "merge"


def record_before_images(connection: Connection, kind: Kind, table: str, staged: str, facts: Parameters) -> None:
    """staged: a temporary table with `live_id` and `action`. facts: `run` and `customer`.

    An account's image also holds its sourcedId, its aliases and its roles by org, as `model.roster` writes them.
    """
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind.value}', t.id, s.action,"
        f" {build_image_sql(connection.dialect, kind, table)}"
        f" FROM {staged} s JOIN {table} t ON t.id = s.live_id",
        facts,
    )


def record_document(connection: Connection, kind: Kind, table: str, which: str, facts: Parameters) -> None:
    """A customer, community or lesson that is about to be changed or deleted. which: SQL on `t` that names the row.
    facts: `run`, `customer` (None: the catalogue), `action`, and what `which` asks for."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind.value}', t.id, CAST(:action AS TEXT),"
        f" {build_image_sql(connection.dialect, kind, table)}"
        f" FROM {table} t WHERE {which}",
        facts,
    )


def record_identities(connection: Connection, staged: str, facts: Parameters) -> None:
    """Identities that are about to become another account's. staged: a temporary table with `identity_id`. Their kind
    in the journal is `identity`, which no plan has."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), 'identity', t.id, '{Action.MOVE.value}',"
        f" {build_image_sql(connection.dialect, None, 'identities')}"
        f" FROM {staged} s JOIN identities t ON t.id = s.identity_id",
        facts,
    )


def record_moved_rows(connection: Connection, table: str, kind: str, staged: str, facts: Parameters) -> None:
    """Rows that are about to follow their account into another, or to come back from there. staged: a temporary table
    with `row_id`. An assignment's kind in the journal is `assignment`, which no plan has."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind}', t.id, '{MERGE_ACTION}',"
        f" {build_image_sql(connection.dialect, None, table)}"
        f" FROM {staged} s JOIN {table} t ON t.id = s.row_id",
        facts,
    )
