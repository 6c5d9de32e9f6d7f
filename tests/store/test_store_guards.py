"""Test that a write outside reconciler resets a row's fingerprint, and an apply does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Text, text

from reconciler.model.kind import Kind
from reconciler.store.address import SqliteAddress
from reconciler.store.database.schema import DURABLE
from reconciler.store.migrations import guards
from reconciler.store.open import Store, open_store, upgrade_store
from tests.support.customers.project import ENVIRONMENT, KEY
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

WRITES = {
    "orgs": "UPDATE orgs SET name = 'By Hand' WHERE sourced_id = 's-1'",
    "classes": "UPDATE classes SET title = 'By Hand' WHERE sourced_id = 'c-1'",
    "enrollments": "UPDATE enrollments SET end_date = '2027-01-01' WHERE sourced_id = 'e-1'",
    "accounts": "UPDATE accounts SET email = 'by@hand.example' WHERE username = 'u-1@springfield'",
    "account_roles": "UPDATE account_roles SET role = 'teacher' WHERE account_id = (SELECT account_id FROM identities"
    " WHERE subject = 'u-1')",
    "identities": "UPDATE identities SET subject = 'u-9' WHERE subject = 'u-1'",
}
DOUBTED = {"account_roles": "accounts", "identities": "accounts"}


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def writes(store: Store) -> int:
    return int(raw_sql.scalar(store, "SELECT n FROM write_counters"))


def doubted(store: Store, table: str) -> int:
    return int(raw_sql.scalar(store, f"SELECT count(*) FROM {table} WHERE fingerprint IS NULL"))


def test_our_own_writes_are_not_noticed(loaded: Store) -> None:
    assert writes(loaded) == 0
    rows = store_plans.roster(
        orgs=[store_plans.to(loaded, Kind.ORG, "s-1", "update", name="Elementary")],
        users=[
            store_plans.to(loaded, Kind.USER, "u-1", "update", email="new@springfield.example", roles="d=student"),
            store_plans.to(loaded, Kind.USER, "u-2", "rekey", former_key="u-2") | {"key": "n-2"},
        ],
        classes=[store_plans.to(loaded, Kind.CLASS, "c-1", "update", title="Algebra")],
        enrollments=[store_plans.to(loaded, Kind.ENROLLMENT, "e-1", "delete")],
    )
    store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert writes(loaded) == 0
    assert [doubted(loaded, table) for table in ("orgs", "classes", "enrollments", "accounts")] == [0, 0, 0, 0]


@pytest.mark.parametrize("table", WRITES)
def test_a_changed_row_loses_its_fingerprint_and_is_counted(loaded: Store, table: str) -> None:
    raw_sql.run(loaded, WRITES[table])
    assert writes(loaded) == 1
    assert doubted(loaded, DOUBTED.get(table, table)) == 1


@pytest.mark.parametrize("table", WRITES)
def test_a_row_changed_again_is_counted_again(loaded: Store, table: str) -> None:
    raw_sql.run(loaded, WRITES[table])
    raw_sql.run(
        loaded, WRITES[table].replace("subject = 'u-1'", "subject = 'u-9'") if table == "identities" else WRITES[table]
    )
    assert writes(loaded) >= 1
    assert doubted(loaded, DOUBTED.get(table, table)) == 1


@pytest.mark.parametrize("table", ["orgs", "classes", "enrollments", "accounts", "account_roles", "identities"])
def test_a_deleted_row_is_counted(loaded: Store, table: str) -> None:
    where = {
        "accounts": "username = 'u-1@springfield'",
        "account_roles": "account_id = (SELECT account_id FROM identities WHERE subject = 'u-1')",
        "identities": "subject = 'u-1'",
    }.get(table, f"sourced_id = '{ {'orgs': 's-1', 'classes': 'c-1', 'enrollments': 'e-1'}.get(table) }'")
    raw_sql.run(loaded, f"DELETE FROM {table} WHERE {where}")
    assert writes(loaded) == 1
    assert doubted(loaded, "accounts") == {"orgs": 2, "account_roles": 1, "identities": 1}.get(table, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO orgs (customer_id, sourced_id, name) SELECT id, 's-9', 'By Hand' FROM customers",
        "INSERT INTO classes (customer_id, sourced_id, title) SELECT id, 'c-9', 'By Hand' FROM customers",
        "INSERT INTO accounts (customer_id, managed_by, status) SELECT id, 'lti', 'active' FROM customers",
        "INSERT INTO enrollments (customer_id, sourced_id, class_id, account_id) SELECT id, 'e-9', 1, 2 FROM customers",
        "INSERT INTO account_roles (account_id, org_id, role, customer_id) SELECT account_id, 1, 'teacher', customer_id"
        " FROM identities WHERE subject = 'u-1'",
    ],
    ids=lambda statement: statement.split()[2],
)
def test_a_row_made_by_another_hand_is_counted(loaded: Store, statement: str) -> None:
    raw_sql.run(loaded, statement)
    assert writes(loaded) == 1


def test_lms_link_keeps_the_fingerprint_and_numbers_its_write(loaded: Store) -> None:
    raw_sql.run(loaded, WRITES["orgs"])
    raw_sql.run(
        loaded,
        "INSERT INTO issuers (customer_id, name, kind) SELECT id, 'springfield/lti/canvas', 'lti' FROM customers",
        "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT x.id, '77', i.account_id,"
        " i.customer_id FROM identities i, issuers x WHERE i.subject = 'u-1' AND x.kind = 'lti'",
    )
    assert doubted(loaded, "accounts") == 0
    assert raw_sql.scalar(loaded, "SELECT write_number FROM identities WHERE subject = '77'") == 2
    with loaded.open_reader() as reader:
        users = store_plans.live(reader, Kind.USER)
    assert dict(users.select("sourced_id", "lti_links").iter_rows())["u-1"] == 1


def test_password_or_origin_may_change_silently(loaded: Store) -> None:
    raw_sql.run(loaded, "UPDATE accounts SET password_hash = 'x', origin_line = 9 WHERE username = 'u-1@springfield'")
    assert writes(loaded) == 0
    assert doubted(loaded, "accounts") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customers SET document = '{}'",
        "UPDATE communities SET document = '{}'",
        "UPDATE lessons SET tombstoned_at = '2026-11-22T03:00:00Z'",
        "DELETE FROM lessons",
        "INSERT INTO communities (customer_id, slug, name, document) SELECT id, 'low', 'Low', '{}' FROM customers",
    ],
)
def test_configuration_changed_by_another_hand_loses_its_digest(loaded: Store, statement: str) -> None:
    raw_sql.run(loaded, statement)
    assert writes(loaded) == 1
    with loaded.open_reader() as reader:
        assert reader.read_customers()[store_plans.SLUG].settings_digest is None


def test_externally_changed_catalog_lesson_marks_the_catalog(loaded: Store) -> None:
    raw_sql.run(loaded, "INSERT INTO lessons (slug, title, document) VALUES ('roots', 'Roots', '{}')")
    assert writes(loaded) == 0
    with loaded.open_reader() as reader:
        assert reader.read_catalog().version == (0, 1)
        assert reader.read_catalog().settings_digest is None


BOUND_TO_U_1 = "(SELECT account_id FROM identities WHERE subject = 'u-1')"
#: Statement run outside reconciler -> the rows whose fingerprint it resets.
REFERRED = {
    "DELETE FROM orgs WHERE sourced_id = 'd'": {("orgs", "s-1"), ("accounts", "u-2")},
    "DELETE FROM orgs WHERE sourced_id = 's-1'": {("classes", "c-1"), ("accounts", "u-1"), ("accounts", "u-2")},
    "DELETE FROM classes": {("enrollments", "e-1"), ("enrollments", "e-2")},
    f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}": {("enrollments", "e-1")},
    "UPDATE orgs SET sourced_id = 's-9' WHERE sourced_id = 's-1'": {
        ("orgs", "s-9"),
        ("classes", "c-1"),
        ("accounts", "u-1"),
        ("accounts", "u-2"),
    },
    "UPDATE orgs SET sourced_id = sourced_id || '-9' WHERE sourced_id = 'd'": {
        ("orgs", "d-9"),
        ("orgs", "s-1"),
        ("accounts", "u-2"),
    },
    "UPDATE classes SET sourced_id = 'c-9'": {("classes", "c-9"), ("enrollments", "e-1"), ("enrollments", "e-2")},
    "UPDATE classes SET id = id + 1000": {("classes", "c-1"), ("enrollments", "e-1"), ("enrollments", "e-2")},
    f"UPDATE accounts SET id = id + 1000 WHERE id = {BOUND_TO_U_1}": {("enrollments", "e-1")},
    "DELETE FROM identities WHERE subject = 'u-1'": {("enrollments", "e-1")},
    "UPDATE identities SET subject = 'u-9' WHERE subject = 'u-1'": {("accounts", "u-9"), ("enrollments", "e-1")},
    "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT issuer_id, 'u-0', account_id,"
    " customer_id FROM identities WHERE subject = 'u-2'": {
        ("accounts", "u-0"),
        ("accounts", "u-2"),
        ("enrollments", "e-2"),
    },
}


def in_doubt(store: Store) -> set[tuple[str, str]]:
    """(table, sourcedId) of rows without a fingerprint; accounts that no roster knows have no name."""
    named = {
        "orgs": "SELECT sourced_id FROM orgs t",
        "classes": "SELECT sourced_id FROM classes t",
        "enrollments": "SELECT sourced_id FROM enrollments t",
        "accounts": "SELECT i.subject FROM accounts t JOIN identities i ON i.account_id = t.id",
    }
    return {
        (table, str(row[0]))
        for table, question in named.items()
        for row in raw_sql.run(store, f"{question} WHERE t.fingerprint IS NULL")
    }


@pytest.mark.parametrize("statement", REFERRED, ids=range(len(REFERRED)))
def test_references_to_removed_or_renamed_rows_are_recompared(loaded: Store, statement: str) -> None:
    raw_sql.run(loaded, statement)
    assert in_doubt(loaded) == REFERRED[statement]
    assert writes(loaded) >= 1


def test_all_orgs_may_be_renamed_at_once_by_hand(loaded: Store) -> None:
    raw_sql.run(loaded, "UPDATE orgs SET sourced_id = sourced_id || '-9'")
    assert {("orgs", "d-9"), ("orgs", "s-1-9"), ("classes", "c-1")} <= in_doubt(loaded)


def test_enrollment_of_a_vanished_account_names_nobody(loaded: Store) -> None:
    raw_sql.run(loaded, f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}")
    assert store_plans.row(loaded, Kind.ENROLLMENT, "e-1")["user"] is None
    assert store_plans.row(loaded, Kind.ENROLLMENT, "e-2")["user"] == "u-2"


def drop_triggers(store: Store, table: str) -> list[str]:
    """As a rebuild of the table does."""
    names = [trigger.name for trigger in guards.build_triggers() if trigger.table == table]
    on_table = "" if isinstance(store.address, SqliteAddress) else f" ON {table}"
    raw_sql.run(store, *(f"DROP TRIGGER {name}{on_table}" for name in names))
    return names


def test_182_triggers_that_a_rebuilt_table_lost_are_restored(store: Store, store_url: str) -> None:
    store_plans.load(store)
    lost = drop_triggers(store, "accounts")
    raw_sql.run(store, "UPDATE accounts SET given_name = 'Eve' WHERE tombstoned_at IS NULL")
    assert raw_sql.scalar(store, "SELECT count(*) FROM accounts WHERE fingerprint IS NOT NULL") > 0
    durable, _ = upgrade_store(store_url)
    assert (durable.before, durable.after, durable.restored_triggers) == (DURABLE.head, DURABLE.head, tuple(lost))
    # What happened meanwhile went unnoticed: the next plan compares everything.
    assert raw_sql.scalar(store, "SELECT count(*) FROM accounts WHERE fingerprint IS NOT NULL") == 0
    assert raw_sql.scalar(store, "SELECT count(*) FROM customers WHERE settings_digest IS NOT NULL") == 0
    assert upgrade_store(store_url)[0].restored_triggers == ()


def test_182_a_migration_that_rebuilds_a_table_keeps_its_triggers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only SQLite needs to rebuild tables.
    store_url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    store = open_store(store_url, ENVIRONMENT, key=KEY)
    store_plans.load(store)
    kept = raw_sql.scalar(store, "SELECT count(*) FROM accounts WHERE fingerprint IS NOT NULL")
    raw_sql.run(store, "UPDATE schema_revision SET version_num = '0009'")

    def rebuild(configuration: Config, _revision: str) -> None:
        connection = configuration.attributes["connection"]
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("accounts", recreate="always") as batch:
            batch.add_column(Column("motto", Text))
        connection.execute(text(f"UPDATE schema_revision SET version_num = '{DURABLE.head}'"))

    monkeypatch.setattr("alembic.command.upgrade", rebuild)
    durable, _ = upgrade_store(store_url)
    assert (durable.before, durable.after, durable.restored_triggers) == ("0009", DURABLE.head, ())
    with store.open_connection() as connection:
        names = {str(name) for (name,) in connection.fetch_rows(guards.TRIGGERS_SQL[connection.dialect.name])}
    assert names == {trigger.name for trigger in guards.build_triggers()}
    # Nothing was missed, so nothing is compared anew.
    assert raw_sql.scalar(store, "SELECT count(*) FROM accounts WHERE fingerprint IS NOT NULL") == kept > 0
    raw_sql.run(store, "UPDATE accounts SET given_name = 'Eve' WHERE tombstoned_at IS NULL")
    assert raw_sql.scalar(store, "SELECT count(*) FROM accounts WHERE fingerprint IS NOT NULL") == 0
