"""Test a connection's types and transactions, and that its errors give a hint and name nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reconciler.store.address import PostgresqlAddress, SqliteAddress, parse_store_url
from reconciler.store.database.connection import Connection
from reconciler.store.database.postgresql import complete_uri
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store, open_store
from tests.support.customers.project import ENVIRONMENT, KEY

PERSON = pl.DataFrame(
    {"id": [1], "customer_id": [1], "managed_by": ["roster"], "status": ["active"], "username": ["lisa.simpson"]}
)


def write(connection: Connection, statement: str) -> None:
    with connection.open_write_transaction():
        connection.insert_frame("accounts", PERSON)
        connection.execute(statement)


def test_a_frame_comes_back_as_it_went_in(store: Store) -> None:
    frame = pl.DataFrame(
        {"n": [1, None, -(2**63)], "t": [None, "é\n", ""], "b": [True, None, False], "d": [b"\x00", None, b""]}
    )
    with (
        store.open_connection() as connection,
        connection.open_write_transaction(),
        connection.stage_frame("several", frame) as table,
    ):
        assert connection.fetch_frame(f"SELECT * FROM {table}", dict(frame.schema)).equals(frame)


def test_a_staged_table_is_gone_at_the_end(store: Store) -> None:
    with store.open_connection() as connection:
        for _ in range(2):
            with connection.open_write_transaction(), connection.stage_frame("several", PERSON) as table:
                assert connection.fetch_scalar(f"SELECT count(*) FROM {table}") == 1


def test_what_fails_leaves_nothing_behind(store: Store) -> None:
    with store.open_connection() as connection:
        with pytest.raises(StoreProblem):
            write(connection, "INSERT INTO nothing_like_it VALUES (1)")
        assert connection.fetch_scalar("SELECT count(*) FROM accounts") == 0


def test_reading_goes_on_in_a_new_view_after_it_was_suspended(store: Store) -> None:
    count = "SELECT count(*) FROM accounts"
    with store.open_connection() as connection, connection.open_read_transaction():
        assert connection.fetch_scalar(count) == 0
        with connection.suspend_reading(), store.open_connection() as other:
            write(other, "SELECT 1")
        assert connection.fetch_scalar(count) == 1
        with store.open_connection() as other:
            other.execute("DELETE FROM accounts")
        assert connection.fetch_scalar(count) == 1


class FailsSecond:
    """A dialect whose second statement of a transaction fails."""

    def __init__(self, dialect: Any) -> None:
        self._dialect = dialect
        self.begin_reading = (dialect.begin_reading[0], "SELECT nothing_like_it")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)


def test_a_transaction_whose_second_statement_fails_is_ended(store: Store) -> None:
    with store.open_connection() as connection:
        whole = connection.dialect
        connection.dialect = FailsSecond(whole)  # type: ignore[assignment]
        with pytest.raises(StoreProblem), connection.open_read_transaction():
            raise AssertionError("it did not begin")
        connection.dialect = whole
        assert not connection.closed
        with connection.open_read_transaction():
            assert connection.fetch_scalar("SELECT count(*) FROM accounts") == 0


def test_a_parameter_may_be_named_twice_and_be_null(store: Store) -> None:
    with store.open_connection() as connection:
        found = connection.fetch_row(
            "SELECT CAST(:n AS BIGINT) + CAST(:n AS BIGINT), CAST(:t AS TEXT)", {"n": 2, "t": None}
        )
    assert found == (4, None)


def test_database_error_is_explained_without_row_text(store: Store) -> None:
    with store.open_connection() as connection:
        for statement in (
            "INSERT INTO accounts (id, customer_id, managed_by, status) VALUES (1, 1, 'roster', 'lisa.simpson')",
            "SELECT lisa_simpson FROM accounts",
        ):
            with pytest.raises(StoreProblem) as raised:
                write(connection, statement)
            assert "lisa" not in str(raised.value)
            assert raised.value.diagnostic.hint


def test_a_full_disk_is_said_plainly(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", ENVIRONMENT, key=KEY)
    with store.open_connection() as connection:
        connection.fetch_rows("PRAGMA max_page_count = 1")
        with pytest.raises(StoreProblem, match="no space is left") as raised:
            write(connection, "UPDATE accounts SET email = hex(zeroblob(1000000))")
    assert raised.value.diagnostic.code == "disk-full"


def test_a_damaged_file_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}", ENVIRONMENT, key=KEY)
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"\xff" * (len(whole) - 200))
    with pytest.raises(StoreProblem) as raised:
        open_store(f"sqlite:///{path}", ENVIRONMENT, key=KEY)
    assert raised.value.diagnostic.code == "store-damaged"
    assert "backup" in (raised.value.diagnostic.hint or "")


def test_what_a_postgresql_url_says_stays_as_it_is() -> None:
    url = "postgresql://ann:p%2Bw@host:5433/db?host=/tmp/a%20b&connect_timeout=3&options=-c%20search_path%3Dx"
    assert complete_uri(url) == f"{url}&application_name=reconciler"
    assert "connect_timeout=" in complete_uri("postgresql://host/db")


def test_an_address_shows_neither_user_nor_password() -> None:
    address = parse_store_url("postgres://ann:hunter2@host:5433/db?password=hunter2")
    assert isinstance(address, PostgresqlAddress)
    assert str(address) == "postgresql://host:5433/db"
    assert "hunter2" not in repr(address)
    assert "ann" not in str(address)


def test_what_belongs_to_a_sqlite_store_stands_beside_it() -> None:
    address = parse_store_url("sqlite:////srv/live.v2.db")
    assert isinstance(address, SqliteAddress)
    beside = (address.volatile, address.key_file, address.locks)
    assert [path.name for path in beside] == ["live.v2-volatile.db", "live.v2.key", "live.v2.locks"]
