"""Test that the migrations, the tables and the constants for opening a store agree."""

from __future__ import annotations

import re
import warnings

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, text

from reconciler.store.address import SqliteAddress
from reconciler.store.database.schema import BRANCHES, DURABLE, VOLATILE, MigrationBranch
from reconciler.store.errors import StoreProblem
from reconciler.store.migrations.guards import build_triggers
from reconciler.store.open import Store
from reconciler.store.tables import durable, volatile
from reconciler.store.tables.metadata import MOMENT

METADATA = {DURABLE: durable, VOLATILE: volatile}


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_the_head_that_opening_expects_is_the_newest_migration(branch: MigrationBranch) -> None:
    assert branch.list_revisions()[-1] == branch.head


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_migrations_create_exactly_the_tables_in_code(store: Store, branch: MigrationBranch) -> None:
    metadata = METADATA[branch]
    known = set(metadata.tables)

    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or name in known

    engine = create_engine(url_of(store, branch))
    with engine.connect() as connection, warnings.catch_warnings():
        # The index on lessons is on an expression, which SQLAlchemy cannot read back.
        warnings.simplefilter("ignore")
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": True, "version_table": branch.version_table}
        )
        differences = [
            change for change in compare_metadata(context, metadata) if "uq_lessons_owner_slug" not in str(change)
        ]
    engine.dispose()
    assert differences == []


def url_of(store: Store, branch: MigrationBranch) -> str:
    if isinstance(store.address, SqliteAddress):
        return f"sqlite:///{store.address.volatile if branch is VOLATILE else store.address.path}"
    return store.address.uri.replace("postgresql:", "postgresql+psycopg:", 1)


def test_every_guard_stands_in_the_store(store: Store) -> None:
    asked = {
        "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    with store.open_connection() as connection:
        found = {str(row[0]) for row in connection.fetch_rows(asked[connection.dialect.name])}
    assert found == {trigger.name for trigger in build_triggers()}


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_every_column_of_moments_has_its_check(store: Store, branch: MigrationBranch) -> None:
    wanted = {
        f"ck_{table.name}_{column.name}"
        for table in METADATA[branch].tables.values()
        for column in table.columns
        if column.info.get(MOMENT)
    }
    with store.open_connection(volatile=branch is VOLATILE) as connection:
        if connection.dialect.name == "postgresql":
            rows = connection.fetch_rows("SELECT conname FROM pg_constraint WHERE contype = 'c'")
            found = {str(name) for (name,) in rows}
        else:
            rows = connection.fetch_rows("SELECT sql FROM sqlite_schema WHERE type = 'table'")
            found = {name for (sql,) in rows for name in re.findall(r"CONSTRAINT (ck_\w+)", str(sql))}
    assert wanted
    assert wanted <= found


def test_every_column_that_is_named_as_a_moment_is_one() -> None:
    named = [
        (table.name, column.name)
        for metadata in METADATA.values()
        for table in metadata.tables.values()
        for column in table.columns
        if re.fullmatch(r"at|since|\w+_(at|since|before|start)", column.name) and not column.info.get(MOMENT)
    ]
    assert named == []


@pytest.mark.parametrize(
    "moment", ["384-01-20T00:00:00Z", "2026-11-30 10:00:00", "2026-11-30T10:00:00.5Z", "2026-11-30T10:00:00+02:00", ""]
)
def test_a_moment_that_does_not_sort_is_refused_by_the_database(store: Store, moment: str) -> None:
    add = "INSERT INTO orgs (customer_id, sourced_id, tombstoned_at) VALUES (1, 'd-1', :moment)"
    with store.open_connection() as connection:
        with pytest.raises(StoreProblem):
            connection.execute(add, {"moment": moment})
        connection.execute(add, {"moment": "2026-11-30T10:00:00Z"})
        connection.execute(add.replace("d-1", "d-2"), {"moment": None})
        assert connection.fetch_scalar("SELECT count(*) FROM orgs") == 2


def test_the_two_branches_share_no_table() -> None:
    assert isinstance(durable, MetaData)
    assert not set(durable.tables) & set(volatile.tables)


def test_an_id_is_never_used_twice(store: Store) -> None:
    with store.open_connection() as connection, connection.open_write_transaction():
        first = connection.generate_ids("accounts", 3)
        for number in first:
            connection.execute(
                "INSERT INTO accounts (id, customer_id, managed_by, status) VALUES (:id, 1, 'roster', 'active')",
                {"id": number},
            )
        connection.execute("DELETE FROM accounts")
        again = connection.generate_ids("accounts", 2)
    assert len(set(first) | set(again)) == len(first) + len(again)
    assert again.min() > first.max()


def test_catalog_lessons_are_unique_without_a_customer(store: Store) -> None:
    add = text(
        "INSERT INTO lessons (slug, title, document, origin_run) VALUES ('leaves', 'Leaves', '{}', 1)"
        " ON CONFLICT DO NOTHING"
    )
    with store.open_connection() as connection:
        connection.execute(add)
        connection.execute(add)
        assert connection.fetch_scalar("SELECT count(*) FROM lessons") == 1
