"""Open a store: create it on first use, and refuse one of another environment, schema or key."""

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import text

from reconciler.model.moment import format_moment
from reconciler.model.plan import StoreIdentity
from reconciler.store.address import Address, SqliteAddress, parse_store_url
from reconciler.store.database import schema
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.database.dialect import Dialect
from reconciler.store.database.postgresql import PostgresqlDialect
from reconciler.store.database.sqlite import SqliteDialect
from reconciler.store.errors import StoreProblem, build_unknown_error
from reconciler.store.key import (
    KEY_VARIABLE,
    StoreKey,
    choose_key,
    make_key,
    put_new_key_first,
    read_key,
    read_key_from_environment,
)
from reconciler.store.read.reader import Reader


def create_dialect(address: Address) -> Dialect:
    return SqliteDialect(address) if isinstance(address, SqliteAddress) else PostgresqlDialect(address)


@dataclass(frozen=True, slots=True)
class Store:
    """An open store, created by `open_store`. Its connections are opened for one task and closed after it."""

    address: Address
    #: identifies the store together with its environment
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
        """Keep one connection to a SQLite file open while many others open and close.

        The last connection to close checkpoints the write-ahead log, which takes longer than a customer's apply.
        A file that cannot be opened is ignored here: the next connection reports it.
        """
        with ExitStack() as stack:
            if isinstance(self.address, SqliteAddress):
                with suppress(StoreProblem):
                    stack.enter_context(self.open_connection())
            yield

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        """Open one consistent view of all durable tables, unaffected by concurrent writes."""
        with self.open_connection() as connection, connection.open_read_transaction():
            yield Reader(connection, self.key)


#: The code of the error for a store that does not exist yet.
NO_STORE = "no-store"
#: Directory of the key file of a PostgreSQL store, used if RECONCILER_KEY is unset.
KEY_FOLDER = Path(".reconciler")


def open_store(
    url: str, environment: str, *, key: bytes | None = None, make: bool = True, key_folder: Path = KEY_FOLDER
) -> Store:
    """Open the store of this environment at a URL; create it if there is none and `make` is true.

    key: 32 bytes; None for RECONCILER_KEY or else the key file. key_folder: of a PostgreSQL store's key file. Raises
    StoreProblem if the store's schema is older or newer than this program, or if it belongs to another environment or
    key, is missing or cannot be used.
    """
    address = parse_store_url(url)
    explicit_key = StoreKey(key) if key is not None else read_key_from_environment()
    if isinstance(address, SqliteAddress):
        if not make and not address.path.exists():
            raise _build_missing_store_error(f"{address} does not exist")
        _create_private_file(address.path)
    dialect = create_dialect(address)
    state = _inspect_store(address, dialect)
    if state is None and not make:
        raise _build_missing_store_error(f"there is no store at {address}")
    if state is None:
        _initialize_store(address, environment, explicit_key, key_folder)
        state = _inspect_store(address, dialect)
    if state is None:
        raise build_unknown_error(address, "the new store is empty")
    identity, owner, check = state
    if owner != environment:
        raise StoreProblem(
            "store-environment",
            f"{address} belongs to environment {owner}, not {environment}",
            "Pass the right --env or --store. If you renamed the environment, run:"
            f" reconciler store assign --env {environment} --store {_mask_url(url)}",
        )
    key_file = _locate_key_file(address, identity, key_folder)
    return Store(address, identity, environment, _load_verified_key(address, key_file, explicit_key, check), dialect)


def upgrade_store(url: str) -> tuple[schema.BranchMigration, ...]:
    """Migrate both branches of an existing store to the newest schema."""
    address = parse_store_url(url)
    _require_store(address)
    return tuple(schema.migrate_branch(address, branch) for branch in schema.BRANCHES)


def find_backup_command(url: str) -> str | None:
    """Return the command that backs up a PostgreSQL store which an upgrade would change; None if no command is needed,
    because the store is up to date or a SQLite file, which the upgrade copies itself.
    """
    address = parse_store_url(url)
    is_current = all(revision in (None, newest) for _, revision, newest in list_store_revisions(url))
    if isinstance(address, SqliteAddress) or is_current:
        return None
    return f"pg_dump --format=custom --file=store.dump {address}"


def list_store_revisions(url: str) -> tuple[tuple[str, str | None, str], ...]:
    """Return (branch, revision, newest revision) of both branches of an existing store.

    revision: None if the branch has no tables yet.
    """
    address = parse_store_url(url)
    _require_store(address)
    return tuple((branch.name, _find_revision(address, branch), branch.head) for branch in schema.BRANCHES)


def load_store_key(url: str, key_folder: Path = KEY_FOLDER) -> StoreKey:
    """Return the key of an existing store of any environment. Raises StoreProblem `store-key` if the key is missing
    or wrong.
    """
    address = parse_store_url(url)
    _require_store(address)
    with open_connection(create_dialect(address)) as connection:
        row = connection.fetch_row("SELECT uuid, key_check FROM store")
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    key_file = _locate_key_file(address, str(row[0]), key_folder)
    return _load_verified_key(address, key_file, read_key_from_environment(), str(row[1]))


def load_known_keys(store: Store, key_folder: Path = KEY_FOLDER) -> StoreKey:
    """Return the store's present key and those beside it, as they are now."""
    with store.open_connection() as connection:
        check = str(connection.fetch_scalar("SELECT key_check FROM store"))
    key_file = _locate_key_file(store.address, store.uuid, key_folder)
    return _load_verified_key(store.address, key_file, read_key_from_environment(), check)


def prepare_next_key(store: Store, key: StoreKey, key_folder: Path = KEY_FOLDER) -> StoreKey:
    """Return the key to change to: the first of RECONCILER_KEY, or a new one that is put first in the key file.

    If the key file begins with another key than the present one, an interrupted rotation put it there, and it is
    returned. Raises StoreProblem `key-in-environment` if RECONCILER_KEY has no new key.
    """
    variable = read_key_from_environment()
    if variable is not None:
        if variable.secret == key.secret:
            raise StoreProblem(
                "key-in-environment",
                f"{KEY_VARIABLE} has the key, and cannot be changed from here; nothing was changed",
                f'Put a new key first: export {KEY_VARIABLE}="$(openssl rand -base64 32) ${KEY_VARIABLE}"',
            )
        return StoreKey(variable.secret)
    path = _locate_key_file(store.address, store.uuid, key_folder)
    keys = read_key(path) or key
    return put_new_key_first(path, keys) if keys.secret == key.secret else StoreKey(keys.secret)


def assign_environment(url: str, environment: str) -> str:
    """Assign an existing store to another environment; return the previous one."""
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
        raise _build_missing_store_error(f"there is no store at {address}")


def _build_missing_store_error(what: str) -> StoreProblem:
    return StoreProblem(NO_STORE, what, "Check the URL. Create the store: reconciler store create")


def _mask_url(url: str) -> str:
    return url if "@" not in url else "URL"


def _create_private_file(path: Path) -> None:
    """Create an empty 0600 file unless the path exists."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise StoreProblem("store-unreadable", f"{path} is not a file", "Choose another path.") from None
    except OSError as problem:
        raise StoreProblem(
            "store-unreadable",
            f"{path} cannot be created: {problem.strerror}",
            "Check the path and its directory's permissions.",
        ) from None


def _find_revision(address: Address, branch: schema.MigrationBranch) -> str | None:
    if isinstance(address, SqliteAddress) and branch is schema.VOLATILE and not address.volatile.exists():
        return None
    with open_connection(create_dialect(address), volatile=branch is schema.VOLATILE) as connection:
        return _read_revision(connection, branch)


def _read_revision(connection: Connection, branch: schema.MigrationBranch) -> str | None:
    if not connection.has_table(branch.version_table):
        return None
    revision = connection.fetch_scalar(f"SELECT version_num FROM {branch.version_table}")
    return None if revision is None else str(revision)


def _inspect_store(address: Address, dialect: Dialect) -> tuple[str, str, str] | None:
    """Return uuid, environment and key check of an up-to-date store, or None if the database is empty."""
    volatile = None
    with open_connection(dialect) as connection:
        revision = _read_revision(connection, schema.DURABLE)
        if revision is None:
            if connection.is_empty():
                return None
            raise StoreProblem(
                "not-a-store", f"{address} contains other data, not a store", "Choose another file or database."
            )
        _require_newest_revision(address, schema.DURABLE, revision)
        row = connection.fetch_row("SELECT uuid, environment, key_check FROM store")
        if not isinstance(address, SqliteAddress):
            volatile = _read_revision(connection, schema.VOLATILE)
    if row is None:
        raise StoreProblem("not-a-store", f"{address} has no identity", "Restore it from a backup.")
    if isinstance(address, SqliteAddress):
        if address.is_read_only and not address.volatile.exists():
            # Nothing volatile is known, and nothing can be made.
            return str(row[0]), str(row[1]), str(row[2])
        # The volatile file may be lost; it is then created again.
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


def _initialize_store(address: Address, environment: str, explicit_key: StoreKey | None, key_folder: Path) -> None:
    def identify(connection: SqlConnection, _before: str | None) -> None:
        if connection.execute(text("SELECT count(*) FROM store")).scalar():
            return
        identity = str(uuid.uuid4())
        key = explicit_key or make_key(_locate_key_file(address, identity, key_folder))
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES (:uuid, :name, :check, :now)"),
            {
                "uuid": identity,
                "name": environment,
                "check": key.key_check,
                "now": format_moment(datetime.now(UTC)),
            },
        )

    schema.migrate_branch(address, schema.DURABLE, callback=identify)


def _locate_key_file(address: Address, identity: str, key_folder: Path) -> Path:
    return address.key_file if isinstance(address, SqliteAddress) else key_folder / f"{identity}.key"


def _load_verified_key(address: Address, path: Path, explicit_key: StoreKey | None, check: str) -> StoreKey:
    keys = explicit_key or read_key(path)
    if keys is None:
        raise StoreProblem(
            "store-key",
            f"the key of {address} is missing",
            f"Restore {path}, or set {KEY_VARIABLE} to the store key.",
        )
    key = choose_key(keys, check)
    if key is None:
        raise StoreProblem(
            "store-key",
            f"wrong key: {address} was created with a different one",
            f"Set {KEY_VARIABLE} to that store's key, or restore {path}.",
        )
    return key
