"""A PostgreSQL server that refuses, waits or is pooled is told as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from reconciler.store.address import parse_store_url
from reconciler.store.database.connection import open_connection
from reconciler.store.database.lock import lock_customer
from reconciler.store.database.postgresql import PostgresqlDialect, explain_error
from reconciler.store.errors import StoreProblem
from reconciler.store.open import open_store
from tests.support.customers.project import ENVIRONMENT, KEY
from tests.support.stores.postgresql import administer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@contextmanager
def refused() -> Iterator[dict[str, str]]:
    """Yields code, message and hint once the block was refused."""
    found: dict[str, str] = {}
    with pytest.raises(StoreProblem) as raised:
        yield found
    diagnostic = raised.value.diagnostic
    found |= {"code": diagnostic.code, "message": diagnostic.message, "hint": diagnostic.hint or ""}


def test_a_statement_timeout_is_no_ctrl_c(empty_postgresql: str) -> None:
    open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    with psycopg.connect(empty_postgresql, autocommit=True) as administrator:
        administrator.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '200ms'")
    try:
        with refused() as said, open_store(empty_postgresql, ENVIRONMENT, key=KEY).open_connection() as connection:
            connection.fetch_rows("SELECT pg_sleep(5)")
    finally:
        with psycopg.connect(empty_postgresql, autocommit=True) as administrator:
            administrator.execute("ALTER ROLE CURRENT_USER RESET statement_timeout")
    assert said["code"] == "store-timeout"
    assert "statement_timeout" in said["message"]


def test_a_canceled_statement_without_a_timeout_is_still_ctrl_c(empty_postgresql: str) -> None:
    store = open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    with store.open_connection() as connection, pytest.raises(KeyboardInterrupt):
        connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014', MESSAGE = 'abgebrochen'; END $$")


def test_a_user_that_may_not_create_tables_learns_the_grant(empty_postgresql: str) -> None:
    administer(empty_postgresql, sql.SQL("CREATE ROLE newcomer LOGIN"))
    try:
        with psycopg.connect(empty_postgresql, autocommit=True) as administrator:
            administrator.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        with refused() as said:
            open_store(as_user(empty_postgresql, "newcomer"), ENVIRONMENT, key=KEY)
    finally:
        administer(empty_postgresql, sql.SQL("DROP ROLE newcomer"))
    assert said["code"] == "store-refused"
    assert "GRANT CREATE ON SCHEMA public" in said["hint"]


def test_a_missing_role_is_no_missing_database(empty_postgresql: str) -> None:
    with refused() as said:
        open_store(as_user(empty_postgresql, "nobody_like_it"), ENVIRONMENT, key=KEY)
    assert said["code"] == "store-refused"
    assert said["message"].endswith("has no such user")


def test_a_missing_database_is_still_told_as_one(empty_postgresql: str) -> None:
    with refused() as said:
        open_store(empty_postgresql.replace("/test_", "/nothing_"), ENVIRONMENT, key=KEY)
    assert said["code"] == "store-unreachable"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_name_is_refused(postgresql_server: str, encoding: str) -> None:
    name = f"test_{encoding.lower()}"
    administer(
        postgresql_server,
        sql.SQL("CREATE DATABASE {} ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").format(
            sql.Identifier(name), sql.Literal(encoding)
        ),
    )
    try:
        with refused() as said:
            open_store(postgresql_server.format(name), ENVIRONMENT, key=KEY)
    finally:
        administer(postgresql_server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    assert said["code"] == "store-encoding"
    assert encoding in said["message"]
    assert "ENCODING 'UTF8'" in said["hint"]


class PooledDialect(PostgresqlDialect):
    """What PgBouncer in transaction mode does: between transactions, one server process serves every connection."""

    def __init__(self, url: str) -> None:
        super().__init__(parse_store_url(url))  # type: ignore[arg-type]
        self._shared: Any = None

    def connect(self, *, volatile: bool = False) -> Any:
        if self._shared is None:
            self._shared = super().connect(volatile=volatile)
        return _Lent(self._shared)

    def shut_down(self) -> None:
        """End the one server process."""
        self._shared.close()


class _Lent:
    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def close(self) -> None:
        """The process goes back to the pool."""


def test_a_pool_in_transaction_mode_is_refused_before_anything_is_written(empty_postgresql: str) -> None:
    open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    pooled = PooledDialect(empty_postgresql)
    with refused() as said, lock_customer(pooled, "springfield"):
        raise AssertionError("nothing is excluded here")
    pooled.shut_down()
    assert said["code"] == "store-pooled"
    assert "session mode" in said["hint"]


def test_a_lock_timeout_bounds_the_wait_for_rows_as_well(
    empty_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    monkeypatch.setattr("reconciler.store.database.lock.MIN_WAITING_SECONDS", 0.3)
    with psycopg.connect(empty_postgresql) as other, refused() as said:
        other.execute("UPDATE store SET environment = environment")
        with lock_customer(store.dialect, "springfield", 0.2) as connection, connection.open_write_transaction():
            connection.execute("UPDATE store SET environment = environment")
    assert said["code"] == "store-busy"


def test_a_reader_waits_for_no_table_without_end(empty_postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    monkeypatch.setattr("reconciler.store.database.postgresql.MIN_WAITING_SECONDS", 0.2)
    with psycopg.connect(empty_postgresql) as other, refused() as said:
        other.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        with store.open_connection() as connection, connection.open_read_transaction():
            connection.fetch_scalar("SELECT count(*) FROM accounts")
    assert said["code"] == "store-busy"


def test_a_permission_that_is_no_schemas_is_told_as_before() -> None:
    problem = explain_error("42501", "permission denied for table runs", parse_store_url("postgresql://h/d"))  # type: ignore[arg-type]
    assert problem is not None
    assert "SCHEMA" not in (problem.diagnostic.hint or "")


def test_no_transaction_is_open_while_reading_is_suspended(empty_postgresql: str) -> None:
    store = open_store(empty_postgresql, ENVIRONMENT, key=KEY)
    with open_connection(store.dialect) as connection, psycopg.connect(empty_postgresql, autocommit=True) as other:
        with connection.open_read_transaction():
            process = connection.fetch_scalar("SELECT pg_backend_pid()")
            assert state_of(other, process) == "idle in transaction"
            with connection.suspend_reading():
                assert state_of(other, process) == "idle"
            assert state_of(other, process) == "idle in transaction"
        assert state_of(other, process) == "idle"


def state_of(other: Any, process: int) -> str:
    return str(other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (process,)).fetchone()[0])


def as_user(url: str, name: str) -> str:
    """The URL for another user of the same server."""
    head, _, rest = url.partition("://")
    return f"{head}://{name}:@{rest.rpartition('@')[2] if '@' in rest.partition('/')[0] else rest}"
