"""Runs SQL on a store without the program's own connections."""

# It runs in another process where the store is SQLite: Python's sqlite3 and ADBC's SQLite in one process drop each
# other's locks, so that even a test keeps them apart.

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import psycopg

from reconciler.store.address import SqliteAddress
from reconciler.store.open import Store

SQLITE = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10)
found = [connection.execute(statement).fetchall() for statement in json.loads(sys.stdin.read())]
connection.commit()
print(json.dumps(found[-1]))
"""


def run(store: Store, *statements: str) -> list[list[Any]]:
    """Runs them in one transaction; returns the rows of the last one, if it gives any."""
    if isinstance(store.address, SqliteAddress):
        return _in_sqlite(str(store.address.path), statements)
    with psycopg.connect(store.address.uri) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return [list(row) for row in cursor.fetchall()] if cursor.description else []


def run_volatile(store: Store, *statements: str) -> list[list[Any]]:
    if isinstance(store.address, SqliteAddress):
        return _in_sqlite(str(store.address.volatile), statements)
    return run(store, *statements)


def _in_sqlite(path: str, statements: tuple[str, ...]) -> list[list[Any]]:
    done = subprocess.run(
        [sys.executable, "-c", SQLITE, path], input=orjson.dumps(statements), capture_output=True, check=True
    )
    return list(orjson.loads(done.stdout))


def scalar(store: Store, statement: str) -> Any:
    return run(store, statement)[0][0]
