"""Opening a store: made on first use, refused where it is not what the caller thinks it is."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import text

from reconciler.model.plan import StoreIdentity
from reconciler.store.database import schema
from reconciler.store.database.address import Address, SqliteAddress, parse
from reconciler.store.database.connection import Connection, Dialect
from reconciler.store.database.postgresql import Postgresql
from reconciler.store.database.sqlite import Sqlite
from reconciler.store.errors import StoreProblem, unexplained
from reconciler.store.key import VARIABLE, StoreKey, key_of_environment, make_key, read_key
from reconciler.store.read.reader import Reader

# A store that was opened: what it is, and the way in. Connections are made for one task and closed after it.


def dialect_of(address: Address) -> Dialect:
    return Sqlite(address) if isinstance(address, SqliteAddress) else Postgresql(address)


@contextmanager
def connected(dialect: Dialect, *, volatile: bool = False) -> Iterator[Connection]:
    connection = Connection(dialect, dialect.connect(volatile=volatile))
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Store:
    """Made by `open_store`. uuid and environment say which store it is."""

    address: Address
    uuid: str
    environment: str
    key: StoreKey = field(repr=False)
    dialect: Dialect = field(repr=False, compare=False)

    @property
    def identity(self) -> StoreIdentity:
        return StoreIdentity(self.uuid, self.environment)

    def connected(self, *, volatile: bool = False) -> AbstractContextManager[Connection]:
        return connected(self.dialect, volatile=volatile)

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """For many connections one after the other. Whoever is the last to close a SQLite file tidies up behind
        everybody, which takes longer than a customer's apply; nothing of it matters where it cannot be opened."""
        with ExitStack() as stack:
            if isinstance(self.address, SqliteAddress):
                with suppress(StoreProblem):
                    stack.enter_context(self.connected())
            yield

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent view of everything durable, whatever others write meanwhile."""
        with self.connected() as connection, connection.reading():
            yield Reader(connection, self)


#: Where the key of a PostgreSQL store is kept without RECONCILER_KEY.
KEY_FOLDER = Path(".reconciler")


def open_store(url: str, environment: str, *, key: bytes | None = None, make: bool = True) -> Store:
    """The store at a URL, of this environment. A new one is made where there is none, unless `make` says otherwise.

    key: 32 bytes; else RECONCILER_KEY, else the key file. Raises StoreProblem where the store is older or
    newer than this program, of another environment, under another key, or cannot be used at all.
    """
    address = parse(url)
    given = StoreKey(key) if key is not None else key_of_environment()
    if isinstance(address, SqliteAddress):
        if not make and not address.path.exists():
            raise _no_store(f"{address} does not exist")
        _touch(address.path)
    dialect = dialect_of(address)
    found = _inspect(address, dialect)
    if found is None and not make:
        raise _no_store(f"{address} holds no store")
    if found is None:
        _set_up(address, environment, given)
        found = _inspect(address, dialect)
    if found is None:
        raise unexplained(address, "it stays empty")
    identity, named, check = found
    if named != environment:
        raise StoreProblem(
            "store-environment",
            f"{address} is the store of environment {named}, not of {environment}",
            "Choose the environment with --env or the store with --store. If the store is the right one and its"
            f" environment has a new name: reconciler store assign --env {environment} --store {_shown(url)}",
        )
    return Store(address, identity, environment, _known_key(address, identity, given, check), dialect)


def upgrade_store(url: str) -> tuple[tuple[str, str | None, str], ...]:
    """Brings an existing store's schema up to date; returns (branch, before, after) of both branches."""
    address = parse(url)
    _require(address)
    return tuple((branch.name, *schema.migrate(address, branch)) for branch in schema.BRANCHES)


def store_revisions(url: str) -> tuple[tuple[str, str | None, str], ...]:
    """(branch, revision, newest revision) of both branches of an existing store."""
    address = parse(url)
    _require(address)
    return tuple((branch.name, _revision(address, branch), branch.head) for branch in schema.BRANCHES)


def store_key(url: str) -> StoreKey:
    """The key of an existing store of whatever environment. Raises StoreProblem `store-key` where it is not here."""
    address = parse(url)
    _require(address)
    with connected(dialect_of(address)) as connection:
        row = connection.row("SELECT uuid, key_check FROM store")
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    return _known_key(address, str(row[0]), key_of_environment(), str(row[1]))


def assign_environment(url: str, environment: str) -> str:
    """Makes an existing store that of another environment; returns the one it was of."""
    address = parse(url)
    _require(address)
    with connected(dialect_of(address)) as connection, connection.writing():
        before = str(connection.scalar("SELECT environment FROM store"))
        connection.execute("UPDATE store SET environment = :environment", {"environment": environment})
    return before


def _require(address: Address) -> None:
    if isinstance(address, SqliteAddress) and not address.path.exists():
        raise _no_store(f"{address} does not exist")
    if _revision(address, schema.DURABLE) is None:
        raise _no_store(f"{address} holds no store")


def _no_store(what: str) -> StoreProblem:
    return StoreProblem("no-store", what, "Check the URL. A store is made by the first plan or apply.")


def _shown(url: str) -> str:
    return url if "@" not in url else "URL"


def _touch(path: Path) -> None:
    """Makes an empty private file where there is none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise StoreProblem("store-unreadable", f"{path} is not a file", "Name another path.") from None
    except OSError as problem:
        raise StoreProblem(
            "store-unreadable", f"{path} cannot be made: {problem.strerror}", "Check the path and its folder's rights."
        ) from None


def _revision(address: Address, branch: schema.Branch) -> str | None:
    if isinstance(address, SqliteAddress) and branch is schema.VOLATILE and not address.volatile.exists():
        return None
    with connected(dialect_of(address), volatile=branch is schema.VOLATILE) as connection:
        return _revision_in(connection, branch)


def _revision_in(connection: Connection, branch: schema.Branch) -> str | None:
    if not connection.dialect.has_table(connection, branch.version_table):
        return None
    found = connection.scalar(f"SELECT version_num FROM {branch.version_table}")
    return None if found is None else str(found)


def _inspect(address: Address, dialect: Dialect) -> tuple[str, str, str] | None:
    """uuid, environment and key check of a store that is up to date; None where nothing is there yet."""
    volatile = None
    with connected(dialect) as connection:
        revision = _revision_in(connection, schema.DURABLE)
        if revision is None:
            if connection.dialect.is_empty(connection):
                return None
            raise StoreProblem("not-a-store", f"{address} holds something else", "Name another file or database.")
        _require_head(address, schema.DURABLE, revision)
        row = connection.row("SELECT uuid, environment, key_check FROM store")
        if not isinstance(address, SqliteAddress):
            volatile = _revision_in(connection, schema.VOLATILE)
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    if isinstance(address, SqliteAddress):
        # The volatile file may be lost, and is then made anew.
        _touch(address.volatile)
        volatile = _revision(address, schema.VOLATILE)
    if volatile is None:
        schema.migrate(address, schema.VOLATILE)
    else:
        _require_head(address, schema.VOLATILE, volatile)
    return str(row[0]), str(row[1]), str(row[2])


def _require_head(address: Address, branch: schema.Branch, revision: str) -> None:
    if revision != branch.head:
        known = revision in branch.revisions()
        raise schema.older_schema(address) if known else schema.newer_schema(address)


def _set_up(address: Address, environment: str, given: StoreKey | None) -> None:
    def identify(connection: SqlConnection, _before: str | None) -> None:
        if connection.execute(text("SELECT count(*) FROM store")).scalar():
            return
        identity = str(uuid.uuid4())
        key = given or make_key(_key_file(address, identity))
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES (:uuid, :name, :check, :now)"),
            {
                "uuid": identity,
                "name": environment,
                "check": key.check,
                "now": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            },
        )

    schema.migrate(address, schema.DURABLE, after=identify)


def _key_file(address: Address, identity: str) -> Path:
    return address.key_file if isinstance(address, SqliteAddress) else KEY_FOLDER / f"{identity}.key"


def _known_key(address: Address, identity: str, given: StoreKey | None, check: str) -> StoreKey:
    path = _key_file(address, identity)
    key = given or read_key(path)
    if key is None:
        raise StoreProblem(
            "store-key", f"the key of {address} is not there", f"Put {path} back, or set {VARIABLE} to the store's key."
        )
    if key.check != check:
        raise StoreProblem(
            "store-key",
            f"the key given is not the one that {address} was made with",
            f"Set {VARIABLE} to that store's key, or put {path} back.",
        )
    return key
