"""Applies one saved plan repeatedly, killed at another statement each time."""

# A program, and not part of the tests' own process: everything is imported once, then every apply is a fork of it. So
# it must start no thread and open no store by ADBC itself; it reads what a store holds by other drivers.
#
#     python killed_applies.py URL PLANFILE SCRATCH
#
# URL: of a store that is left as it is; every apply gets a copy. Runs in the project's folder. Prints a JSON object in
# each line: first `{statements}`, then one for each killed apply (`Killed`), last `{done}`.

from __future__ import annotations

import fcntl
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

os.environ["POLARS_MAX_THREADS"] = "1"

import psycopg
import pyarrow.dataset  # noqa: F401 - polars and the driver import these when they are first needed
import sqlalchemy.dialects.postgresql  # noqa: F401
from adbc_driver_manager import dbapi
from psycopg import sql

from reconciler.operations.apply.apply import CustomerApplyResult, apply_plan
from reconciler.operations.apply.plan_file import read_plan
from reconciler.operations.location import Location
from reconciler.operations.workspace import open_workspace
from reconciler.store.database.lock import compute_lock_number

NOW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
#: What no two applies of one plan have in common; that it is there, and how many there are, is compared all the same.
RANDOM = re.compile(r"hash$|^head_|^seal$|^ciphertext$|^token")
CUSTOMER = "springfield"
#: A server ends the connection of a process that is dead by itself.
PATIENCE_SECONDS = 10.0
#: The same apply is tried again after one kill of so many; that it finds nothing in its way is looked at after all.
AGAIN_EVERY = 20

Content = dict[str, str]


@dataclass(frozen=True)
class Killed:
    """at: the statement it was killed at, from 1; seconds: how long after it was sent, None for just before.
    left: what the store then held: before, after or between. again: what the same apply said that came after it, None
    where none did, and whether the end was as after the one apply that nobody killed."""

    at: int
    statement: str
    seconds: float | None
    signal: int
    left: str
    again: str | None = None
    ended: bool | None = None


class Stores(Protocol):
    """Copies of one store."""

    def copy(self) -> str:
        """The URL of one that is as the first one is."""
        ...

    def content(self, url: str) -> Content:
        """A digest of every durable table's rows, by table, times and random values left out. Fails where something
        is in the next one's way: a lock, a writer, damage."""
        ...

    def rewind(self, url: str) -> None:
        """Lets it give out again the numbers of rows that were never written; nothing else is changed."""

    def drop(self, url: str, *, unchanged: bool = False) -> None:
        """unchanged: it holds what it held; the next one may get it."""


class SqliteStores:
    def __init__(self, url: str, scratch: Path) -> None:
        self._original = Path(url.removeprefix("sqlite:///")).absolute()
        self._scratch = scratch
        self._number = 0

    def copy(self) -> str:
        self._number += 1
        folder = self._scratch / str(self._number)
        folder.mkdir()
        for path in self._original.parent.glob(f"{self._original.stem}*"):
            if path.is_file():
                shutil.copy(path, folder / path.name)
        return f"sqlite:///{folder / self._original.name}"

    def content(self, url: str) -> Content:
        path = Path(url.removeprefix("sqlite:///"))
        for lock in path.with_suffix(".locks").glob("*"):
            with lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            found = {}
            for (name,) in names:
                cursor = connection.execute(f"SELECT * FROM {name}")
                found[name] = digest([each[0] for each in cursor.description], cursor.fetchall())
            return found

    def rewind(self, url: str) -> None:
        """Its numbers are rolled back with the rows."""

    def drop(self, url: str, *, unchanged: bool = False) -> None:
        shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent)


class PostgresqlStores:
    def __init__(self, url: str, scratch: Path) -> None:
        given = psycopg.conninfo.conninfo_to_dict(url)
        self._url = url
        self._original = str(given["dbname"])
        self._admin = psycopg.connect(**{**given, "dbname": "postgres"}, autocommit=True)
        with psycopg.connect(url) as connection:
            self._sequences = connection.execute(
                "SELECT sequencename, coalesce(last_value, 1), last_value IS NOT NULL FROM pg_sequences"
                " WHERE schemaname = current_schema()"
            ).fetchall()
        self._number = 0
        self._spare: str | None = None

    def copy(self) -> str:
        if self._spare is not None:
            url, self._spare = self._spare, None
            return url
        self._number += 1
        name = f"{self._original}_killed_{self._number}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._admin.execute(statement.format(sql.Identifier(name), sql.Identifier(self._original)))
        return self._url.replace(f"/{self._original}", f"/{name}", 1)

    def content(self, url: str) -> Content:
        with psycopg.connect(url) as connection:
            self._wait_for_the_dead(connection)
            assert connection.execute(
                "SELECT pg_try_advisory_lock(%s)", [compute_lock_number(CUSTOMER)]
            ).fetchone() == (True,)
            names = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
            ).fetchall()
            found = {}
            for (name,) in names:
                cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
                found[name] = digest([each.name for each in cursor.description or ()], cursor.fetchall())
            return found

    def drop(self, url: str, *, unchanged: bool = False) -> None:
        if unchanged:
            self.rewind(url)
            self._spare = url
            return
        name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        self._admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def rewind(self, url: str) -> None:
        # Numbers that were given out stay given out, whatever becomes of a transaction.
        with psycopg.connect(url) as connection:
            for sequence in self._sequences:
                connection.execute("SELECT setval(%s::regclass, %s, %s)", sequence)

    @staticmethod
    def _wait_for_the_dead(connection: psycopg.Connection[Any]) -> None:
        """Until the server has seen that its client is gone, what that began is still under way."""
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        end = time.monotonic() + PATIENCE_SECONDS
        while connection.execute(others).fetchone() != (0,):
            connection.rollback()
            assert time.monotonic() < end, "the server keeps the connection of a process that is dead"
            time.sleep(0.002)
        connection.rollback()


def digest(columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    def plain(column: str, value: Any) -> str:
        if value is None:
            return "null"
        if RANDOM.search(column):
            return "there"
        return NOW.sub("then", repr(bytes(value) if isinstance(value, memoryview) else value))

    lines = sorted("|".join(map(plain, columns, row)) for row in rows)
    return hashlib.sha256("\n".join([*columns, *lines]).encode()).hexdigest()


class Fuse:
    """Counts what is sent to a database, and ends the process before one of the statements, or within it."""

    def __init__(self, at: int | None, seconds: float | None = None) -> None:
        self.sent: list[str] = []
        self._at = at
        self._seconds = seconds

    def __call__(self, statement: str) -> None:
        self.sent.append(statement)
        if len(self.sent) != self._at:
            return
        if self._seconds is None:
            os.kill(os.getpid(), signal.SIGKILL)
        # Python's handlers stay out of it: the kernel ends the process as SIGKILL would.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    @contextmanager
    def burning(self) -> Iterator[None]:
        """At the driver, so that nothing which anybody sends goes uncounted."""
        execute, ingest = dbapi.Cursor.execute, dbapi.Cursor.adbc_ingest

        def executed(cursor: Any, operation: Any, *rest: Any, **more: Any) -> Any:
            self(str(operation))
            return execute(cursor, operation, *rest, **more)

        def ingested(cursor: Any, table: str, *rest: Any, **more: Any) -> Any:
            self(f"ingest {table}")
            return ingest(cursor, table, *rest, **more)

        dbapi.Cursor.execute, dbapi.Cursor.adbc_ingest = executed, ingested  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            dbapi.Cursor.execute, dbapi.Cursor.adbc_ingest = execute, ingest  # type: ignore[method-assign]


def forked(child: Callable[[], None], output: Path) -> int:
    """Runs in a fork; returns what `os.waitpid` says of it. What it prints goes to a file."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    try:
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(target, 1)
        os.dup2(target, 2)
        child()
        code = 0
    except BaseException:  # noqa: BLE001 - a fork's outermost door
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Applies:
    """Of one saved plan, to copies of one store."""

    def __init__(self, url: str, plan: Path, scratch: Path) -> None:
        self.stores: Stores = (SqliteStores if url.startswith("sqlite") else PostgresqlStores)(url, scratch)
        self._plan = plan
        self._output = scratch / "output"
        self._record = scratch / "record.json"
        self.before = self._content_of_a_copy()
        self._import_all()
        self.after, self.statements = self._whole()
        assert self.before != self.after, "the plan does nothing"
        assert self._whole()[0] == self.after, "two applies of one plan give different stores"

    def kill(self, at: int, seconds: float | None, *, again: bool) -> Killed:
        """again: try the same apply after it; it is tried all the same where the killed one was carried out."""
        url = self.stores.copy()
        status = self._apply(url, Fuse(at, seconds))
        found = self.stores.content(url)
        left = "before" if found == self.before else "after" if found == self.after else "between"
        killed = Killed(
            at, self.statements[at - 1], seconds, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, left
        )
        if again or left == "after":
            if left == "before":
                self.stores.rewind(url)
            assert self._apply(url, Fuse(None)) == 0, self._output.read_text()
            said = json.loads(self._record.read_text())["became"]
            killed = replace(killed, again=said, ended=self.stores.content(url) == self.after)
        self.stores.drop(url, unchanged=left == "before" and killed.again is None)
        return killed

    def _content_of_a_copy(self) -> Content:
        url = self.stores.copy()
        found = self.stores.content(url)
        self.stores.drop(url)
        return found

    def _import_all(self) -> None:
        """What an apply imports on its way, once for all of them."""
        url = self.stores.copy()
        assert self._apply(url, Fuse(None)) == 0, self._output.read_text()
        self.stores.drop(url)
        for name in json.loads(self._record.read_text())["imported"]:
            importlib.import_module(name)

    def _whole(self) -> tuple[Content, list[str]]:
        """What an apply leaves that nobody kills, and all it sends to the store."""
        url = self.stores.copy()
        assert self._apply(url, Fuse(None)) == 0, self._output.read_text()
        found = self.stores.content(url)
        self.stores.drop(url)
        record = json.loads(self._record.read_text())
        assert record["became"] == "applied", record
        return found, record["sent"]

    def _apply(self, url: str, fuse: Fuse) -> int:
        def child() -> None:
            known = set(sys.modules)
            with fuse.burning():
                workspace = open_workspace(Location(Path("customers"), store=url))
                (result,) = apply_plan(workspace, read_plan(self._plan, workspace.store))
            imported = [name for name in sys.modules if name not in known and not name.startswith("__")]
            self._record.write_text(json.dumps({"sent": fuse.sent, "became": said(result), "imported": imported}))

        return forked(child, self._output)


def said(result: CustomerApplyResult) -> str:
    return " ".join([result.outcome.value, *(diagnostic.code for diagnostic in result.diagnostics)])


def threads() -> list[str]:
    return sorted(Path(f"/proc/self/task/{each}/comm").read_text() for each in os.listdir("/proc/self/task"))


def main(url: str, plan: Path, scratch: Path) -> None:
    alive = threads()
    applies = Applies(url, plan, scratch)
    count = len(applies.statements)
    print(json.dumps({"statements": count}), flush=True)
    for at in range(1, count + 1):
        print(json.dumps(asdict(applies.kill(at, None, again=at % AGAIN_EVERY == 0))), flush=True)
    commit = max(at for at, statement in enumerate(applies.statements, 1) if statement == "COMMIT")
    for place in range(8):
        print(json.dumps(asdict(applies.kill(commit, 0.000_02 + place * 0.000_4, again=False))), flush=True)
    assert threads() == alive, "a pool of threads was started in here: every fork would be a gamble"
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
