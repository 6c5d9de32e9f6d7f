"""Before-images: what every row was before a run changed or deleted it, so that the run can be undone."""

from __future__ import annotations

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.read.roster_frames import MAIN_FIRST, ROSTER_ISSUER
from reconciler.store.tables import durable

#: What is no part of an image: the row's own keys, what no run changes and nobody should read, what every run writes.
EXCLUDED_COLUMNS = frozenset({"id", "customer_id", "password_hash", "written", "inputs"})
#: Booleans become 0 and 1, in both databases.
BOOLEAN_COLUMNS = frozenset({"is_primary"})

#: The action of what follows an account into another.
MERGE_ACTION = "merge"

#: The sourcedId that an account is known by, and its aliases, one a line.
SUBJECT_SQL = (
    f"(SELECT i.subject FROM identities i WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER}"
    f" ORDER BY {MAIN_FIRST} LIMIT 1)"
)
ALIASES_SQL = (
    f"(SELECT {{lines}} FROM identities i WHERE i.alias = 1 AND i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER})"
)
ROLES_SQL = "(SELECT {lines} FROM account_roles r JOIN orgs o ON o.id = r.org_id WHERE r.account_id = t.id)"


def record_before_images(connection: Connection, kind: Kind, table: str, staged: str, facts: Parameters) -> None:
    """staged: a temporary table with `live_id` and `action`. facts: `run` and `customer`.

    An account's image also holds its sourcedId, its aliases and its roles by org, as `model.roster` writes them.
    """
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind.value}', t.id, s.action,"
        f" CAST({connection.dialect.json_object}({_build_image_pairs(connection, kind, table)}) AS TEXT)"
        f" FROM {staged} s JOIN {table} t ON t.id = s.live_id",
        facts,
    )


def record_document(connection: Connection, kind: Kind, table: str, which: str, facts: Parameters) -> None:
    """A customer, community or lesson that is about to be changed or deleted. which: SQL on `t` that names the row.
    facts: `run`, `customer` (None: the catalogue), `action`, and what `which` asks for."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind.value}', t.id, CAST(:action AS TEXT),"
        f" CAST({connection.dialect.json_object}({_build_image_pairs(connection, kind, table)}) AS TEXT)"
        f" FROM {table} t WHERE {which}",
        facts,
    )


def record_identities(connection: Connection, staged: str, facts: Parameters) -> None:
    """Identities that are about to become another account's. staged: a temporary table with `identity_id`. Their kind
    in the journal is `identity`, which no plan has."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), 'identity', t.id, '{Action.MOVE.value}',"
        f" CAST({connection.dialect.json_object}({_build_image_pairs(connection, None, 'identities')}) AS TEXT)"
        f" FROM {staged} s JOIN identities t ON t.id = s.identity_id",
        facts,
    )


def record_moved_rows(connection: Connection, table: str, kind: str, staged: str, facts: Parameters) -> None:
    """Rows that are about to follow their account into another, or to come back from there. staged: a temporary table
    with `row_id`. An assignment's kind in the journal is `assignment`, which no plan has."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before)"
        f" SELECT CAST(:run AS BIGINT), CAST(:customer AS BIGINT), '{kind}', t.id, '{MERGE_ACTION}',"
        f" CAST({connection.dialect.json_object}({_build_image_pairs(connection, None, table)}) AS TEXT)"
        f" FROM {staged} s JOIN {table} t ON t.id = s.row_id",
        facts,
    )


def build_image_sql(connection: Connection, kind: Kind, table: str) -> str:
    """SQL of the image of a row `t` as it is now. An account's asks for `customer`."""
    return f"CAST({connection.dialect.json_object}({_build_image_pairs(connection, kind, table)}) AS TEXT)"


def _build_image_pairs(connection: Connection, kind: Kind | None, table: str) -> str:
    values = {
        column.name: f"CAST(t.{column.name} AS INTEGER)" if column.name in BOOLEAN_COLUMNS else f"t.{column.name}"
        for column in durable.tables[table].columns
        if column.name not in EXCLUDED_COLUMNS
    }
    if kind is Kind.USER:
        values["sourced_id"] = SUBJECT_SQL
        values["aliases"] = ALIASES_SQL.format(lines=connection.dialect.build_lines_aggregate("i.subject"))
        values["roles"] = ROLES_SQL.format(
            lines=connection.dialect.build_lines_aggregate("o.sourced_id || '=' || r.role")
        )
    return ", ".join(f"'{name}', {value}" for name, value in values.items())
