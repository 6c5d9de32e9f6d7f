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
from reconciler.store.database.address import Address, SqliteAddress, parse_store_url
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.database.dialect import Dialect
from reconciler.store.database.postgresql import PostgresqlDialect
from reconciler.store.database.sqlite import SqliteDialect
from reconciler.store.errors import StoreProblem, build_unknown_error
from reconciler.store.key import KEY_VARIABLE, StoreKey, make_key, read_key, read_key_from_environment
from reconciler.store.read.reader import Reader

# A store that was opened: what it is, and the way in. Connections are made for one task and closed after it.


def create_dialect(address: Address) -> Dialect:
    return SqliteDialect(address) if isinstance(address, SqliteAddress) else PostgresqlDialect(address)


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

    def open_connection(self, *, volatile: bool = False) -> AbstractContextManager[Connection]:
        return open_connection(self.dialect, volatile=volatile)

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        """For many connections one after the other. Whoever is the last to close a SQLite file tidies up behind
        everybody, which takes longer than a customer's apply; nothing of it matters where it cannot be opened."""
        with ExitStack() as stack:
            if isinstance(self.address, SqliteAddress):
                with suppress(StoreProblem):
                    stack.enter_context(self.open_connection())
            yield

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        """One consistent view of everything durable, whatever others write meanwhile."""
        with self.open_connection() as connection, connection.open_read_transaction():
            yield Reader(connection, self.key)


#: Where the key of a PostgreSQL store is kept without RECONCILER_KEY.
KEY_FOLDER = Path(".reconciler")


def open_store(url: str, environment: str, *, key: bytes | None = None, make: bool = True) -> Store:
    """The store at a URL, of this environment. A new one is made where there is none, unless `make` says otherwise.

    key: 32 bytes; else RECONCILER_KEY, else the key file. Raises StoreProblem where the store is older or
    newer than this program, of another environment, under another key, or cannot be used at all.
    """
    address = parse_store_url(url)
    given = StoreKey(key) if key is not None else read_key_from_environment()
    if isinstance(address, SqliteAddress):
        if not make and not address.path.exists():
            raise _build_missing_store_error(f"{address} does not exist")
        _create_private_file(address.path)
    dialect = create_dialect(address)
    found = _inspect_store(address, dialect)
    if found is None and not make:
        raise _build_missing_store_error(f"{address} holds no store")
    if found is None:
        _initialize_store(address, environment, given)
        found = _inspect_store(address, dialect)
    if found is None:
        raise build_unknown_error(address, "it stays empty")
    identity, named, check = found
    if named != environment:
        raise StoreProblem(
            "store-environment",
            f"{address} is the store of environment {named}, not of {environment}",
            "Choose the environment with --env or the store with --store. If the store is the right one and its"
            f" environment has a new name: reconciler store assign --env {environment} --store {_mask_url(url)}",
        )
    return Store(address, identity, environment, _load_verified_key(address, identity, given, check), dialect)


def upgrade_store(url: str) -> tuple[tuple[str, str | None, str], ...]:
    """Brings an existing store's schema up to date; returns (branch, before, after) of both branches."""
    address = parse_store_url(url)
    _require_store(address)
    return tuple((branch.name, *schema.migrate_branch(address, branch)) for branch in schema.BRANCHES)


def list_store_revisions(url: str) -> tuple[tuple[str, str | None, str], ...]:
    """(branch, revision, newest revision) of both branches of an existing store."""
    address = parse_store_url(url)
    _require_store(address)
    return tuple((branch.name, _find_revision(address, branch), branch.head) for branch in schema.BRANCHES)


def load_store_key(url: str) -> StoreKey:
    """The key of an existing store of whatever environment. Raises StoreProblem `store-key` where it is not here."""
    address = parse_store_url(url)
    _require_store(address)
    with open_connection(create_dialect(address)) as connection:
        row = connection.fetch_row("SELECT uuid, key_check FROM store")
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    return _load_verified_key(address, str(row[0]), read_key_from_environment(), str(row[1]))


def assign_environment(url: str, environment: str) -> str:
    """Makes an existing store that of another environment; returns the one it was of."""
    address = parse_store_url(url)
    _require_store(address)
    with open_connection(create_dialect(address)) as connection, connection.open_write_transaction():
        before = str(connection.fetch_scalar("SELECT environment FROM store"))
        connection.execute("UPDATE store SET environment = :environment", {"environment": environment})
    return before


def _require_store(address: Address) -> None:
    if isinstance(address, SqliteAddress) and not address.path.exists():
        raise _build_missing_store_error(f"{address} does not exist")
    if _find_revision(address, schema.DURABLE) is None:
        raise _build_missing_store_error(f"{address} holds no store")


def _build_missing_store_error(what: str) -> StoreProblem:
    return StoreProblem("no-store", what, "Check the URL. A store is made by the first plan or apply.")


def _mask_url(url: str) -> str:
    return url if "@" not in url else "URL"


def _create_private_file(path: Path) -> None:
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


def _find_revision(address: Address, branch: schema.MigrationBranch) -> str | None:
    if isinstance(address, SqliteAddress) and branch is schema.VOLATILE and not address.volatile.exists():
        return None
    with open_connection(create_dialect(address), volatile=branch is schema.VOLATILE) as connection:
        return _read_revision(connection, branch)


def _read_revision(connection: Connection, branch: schema.MigrationBranch) -> str | None:
    if not connection.has_table(branch.version_table):
        return None
    found = connection.fetch_scalar(f"SELECT version_num FROM {branch.version_table}")
    return None if found is None else str(found)


def _inspect_store(address: Address, dialect: Dialect) -> tuple[str, str, str] | None:
    """uuid, environment and key check of a store that is up to date; None where nothing is there yet."""
    volatile = None
    with open_connection(dialect) as connection:
        revision = _read_revision(connection, schema.DURABLE)
        if revision is None:
            if connection.is_empty():
                return None
            raise StoreProblem("not-a-store", f"{address} holds something else", "Name another file or database.")
        _require_newest_revision(address, schema.DURABLE, revision)
        row = connection.fetch_row("SELECT uuid, environment, key_check FROM store")
        if not isinstance(address, SqliteAddress):
            volatile = _read_revision(connection, schema.VOLATILE)
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    if isinstance(address, SqliteAddress):
        # The volatile file may be lost, and is then made anew.
        _create_private_file(address.volatile)
        volatile = _find_revision(address, schema.VOLATILE)
    if volatile is None:
        schema.migrate_branch(address, schema.VOLATILE)
    else:
        _require_newest_revision(address, schema.VOLATILE, volatile)
    return str(row[0]), str(row[1]), str(row[2])


def _require_newest_revision(address: Address, branch: schema.MigrationBranch, revision: str) -> None:
    if revision != branch.head:
        known = revision in branch.list_revisions()
        raise schema.build_older_schema_error(address) if known else schema.build_newer_schema_error(address)


def _initialize_store(address: Address, environment: str, explicit_key: StoreKey | None) -> None:
    def identify(connection: SqlConnection, _before: str | None) -> None:
        if connection.execute(text("SELECT count(*) FROM store")).scalar():
            return
        identity = str(uuid.uuid4())
        key = explicit_key or make_key(_locate_key_file(address, identity))
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES (:uuid, :name, :check, :now)"),
            {
                "uuid": identity,
                "name": environment,
                "check": key.key_check,
                "now": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            },
        )

    schema.migrate_branch(address, schema.DURABLE, callback=identify)


def _locate_key_file(address: Address, identity: str) -> Path:
    return address.key_file if isinstance(address, SqliteAddress) else KEY_FOLDER / f"{identity}.key"


def _load_verified_key(address: Address, identity: str, explicit_key: StoreKey | None, check: str) -> StoreKey:
    path = _locate_key_file(address, identity)
    key = explicit_key or read_key(path)
    if key is None:
        raise StoreProblem(
            "store-key",
            f"the key of {address} is not there",
            f"Put {path} back, or set {KEY_VARIABLE} to the store's key.",
        )
    if key.key_check != check:
        raise StoreProblem(
            "store-key",
            f"the key given is not the one that {address} was made with",
            f"Set {KEY_VARIABLE} to that store's key, or put {path} back.",
        )
    return key
