"""Migrate the schema of a store to the revision that this program needs.

Alembic is imported only if there is something to migrate. It runs through SQLAlchemy on a connection that is closed
before ADBC opens the store, because two SQLite libraries in one process drop each other's locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine, event, exc, inspect, text
from sqlalchemy import Connection as SqlConnection

from reconciler.store.address import Address, SqliteAddress
from reconciler.store.database import postgresql, sqlite
from reconciler.store.database.dialect import MIN_WAITING_SECONDS
from reconciler.store.errors import StoreProblem, build_unknown_error
from reconciler.store.migrations import guards

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent.parent / "migrations"
#: The PostgreSQL advisory lock that lets one migration of a database run at a time.
UPGRADE_LOCK = 0x7265636F6E63696C


@dataclass(frozen=True, slots=True)
class MigrationBranch:
    """A sequence of Alembic migrations with its own version table."""

    name: str
    version_table: str
    #: the newest revision, kept here so that opening a store needs no Alembic
    head: str

    def build_configuration(self) -> Config:
        from alembic.config import Config

        configuration = Config()
        configuration.set_main_option("script_location", str(MIGRATIONS / self.name).replace("%", "%%"))
        configuration.set_main_option("path_separator", "os")
        configuration.attributes["version_table"] = self.version_table
        return configuration

    def list_revisions(self) -> tuple[str, ...]:
        """Return the branch's revisions, oldest first."""
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory.from_config(self.build_configuration()).walk_revisions()
        return tuple(reversed([script.revision for script in scripts]))


DURABLE = MigrationBranch("durable", "schema_revision", "0013")
VOLATILE = MigrationBranch("volatile", "volatile_revision", "0003")
BRANCHES = (DURABLE, VOLATILE)


@dataclass(frozen=True, slots=True)
class BranchMigration:
    """The result of migrating a branch."""

    #: name of the branch
    name: str
    #: revision before; None if the branch had no tables yet
    before: str | None
    after: str
    #: the copy of the file from before; None on PostgreSQL, or if nothing was migrated
    backup: Path | None = None
    #: names of triggers that were lost, and were created again
    restored_triggers: tuple[str, ...] = ()


def read_revision(connection: SqlConnection, branch: MigrationBranch) -> str | None:
    """Return a branch's revision in the store, or None if it has no tables yet."""
    if not inspect(connection).has_table(branch.version_table):
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {branch.version_table}")).scalar()
    return None if revision is None else str(revision)


def migrate_branch(
    address: Address, branch: MigrationBranch, callback: Callable[[SqlConnection, str | None], None] | None = None
) -> BranchMigration:
    """Migrate a branch to its head in one transaction, and create the triggers that it lacks.

    A SQLite file is copied first. callback: called in the same transaction with the revision before; None to call
    nothing. Raises StoreProblem; then nothing is changed.
    """
    backup = None
    with _open_transaction(address, branch) as connection:
        before = read_revision(connection, branch)
        has_guards = branch is DURABLE
        lost = guards.list_lost_triggers(connection) if has_guards and before is not None else ()
        if before != branch.head:
            from alembic import command

            if before is not None and before not in branch.list_revisions():
                raise build_newer_schema_error(address)
            if before is not None:
                backup = _back_up(address, branch, before)
                if has_guards:
                    # SQLite refuses to rebuild a table that triggers of others name, and drops the table's own ones.
                    guards.drop_triggers(connection)
            configuration = branch.build_configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
        if has_guards:
            guards.restore_triggers(connection)
        if lost:
            guards.forget_fingerprints(connection)
        if callback is not None:
            callback(connection, before)
    return BranchMigration(branch.name, before, branch.head, backup, lost)


def _back_up(address: Address, branch: MigrationBranch, revision: str) -> Path | None:
    if not isinstance(address, SqliteAddress):
        return None
    # Imports sqlite3, which a process that only opens a store must not load beside ADBC's library.
    from reconciler.store.database.backup import back_up_file

    return back_up_file(_get_path(address, branch), revision)


def build_newer_schema_error(address: Address) -> StoreProblem:
    return StoreProblem(
        "store-newer", f"{address} was created by a newer version of reconciler", "Update reconciler, then try again."
    )


def build_older_schema_error(address: Address) -> StoreProblem:
    return StoreProblem("store-older", f"the schema of {address} is out of date", "Run `reconciler store upgrade`.")


@contextmanager
def _open_transaction(address: Address, branch: MigrationBranch) -> Iterator[SqlConnection]:
    engine = _build_engine(address, branch)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{MIN_WAITING_SECONDS}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": UPGRADE_LOCK})
            yield connection
    except exc.DBAPIError as problem:
        raise _translate_error(address, problem) from None
    finally:
        engine.dispose()


def _build_engine(address: Address, branch: MigrationBranch) -> Engine:
    from sqlalchemy.pool import NullPool

    if not isinstance(address, SqliteAddress):
        uri = address.uri.replace("postgresql:", "postgresql+psycopg:", 1)
        return create_engine(uri, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": 10})
    path = str(_get_path(address, branch))
    engine = create_engine(URL.create("sqlite", database=path), poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _disable_autocommit(raw, _record):  # type: ignore[no-untyped-def]
        # Python's sqlite3 would commit before each DDL statement; a migration is one transaction.
        raw.isolation_level = None
        raw.execute("PRAGMA busy_timeout = 30000")

    @event.listens_for(engine, "begin")
    def _begin_immediate(connection: SqlConnection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _get_path(address: SqliteAddress, branch: MigrationBranch) -> Path:
    return address.volatile if branch is VOLATILE else address.path


def _translate_error(address: Address, problem: exc.DBAPIError) -> StoreProblem:
    error_text = str(problem.orig)
    if isinstance(address, SqliteAddress):
        known = sqlite.explain_error(error_text, address)
    else:
        known = postgresql.explain_error(getattr(problem.orig, "sqlstate", None) or "", error_text, address)
    if known is None and isinstance(problem, exc.OperationalError) and not isinstance(address, SqliteAddress):
        known = StoreProblem(
            "store-unreachable", f"{address} cannot be reached", "Check the store URL and that the server is running."
        )
    return known or build_unknown_error(address, type(problem.orig).__name__)
