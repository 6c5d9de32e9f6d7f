"""Which schema a store has, which one this program needs, and the way from one to the other.

Alembic is imported only where there is something to do, and runs through SQLAlchemy on a connection that is
closed again before ADBC opens the store: two SQLite libraries in one process drop each other's locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine, event, exc, inspect, text
from sqlalchemy import Connection as SqlConnection

from reconciler.store.database import postgresql, sqlite
from reconciler.store.database.address import Address, SqliteAddress
from reconciler.store.errors import StoreProblem, build_unknown_error

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent.parent / "migrations"
#: One migration at a time over all processes of a PostgreSQL server's database.
UPGRADE_LOCK = 0x7265636F6E63696C


@dataclass(frozen=True, slots=True)
class MigrationBranch:
    """One line of migrations. head: its newest revision, so that opening a store needs no Alembic."""

    name: str
    version_table: str
    head: str

    def build_configuration(self) -> Config:
        from alembic.config import Config

        configuration = Config()
        configuration.set_main_option("script_location", str(MIGRATIONS / self.name).replace("%", "%%"))
        configuration.set_main_option("path_separator", "os")
        configuration.attributes["version_table"] = self.version_table
        return configuration

    def list_revisions(self) -> tuple[str, ...]:
        """Oldest first."""
        from alembic.script import ScriptDirectory

        found = ScriptDirectory.from_config(self.build_configuration()).walk_revisions()
        return tuple(reversed([script.revision for script in found]))


DURABLE = MigrationBranch("durable", "schema_revision", "0007")
VOLATILE = MigrationBranch("volatile", "volatile_revision", "0001")
BRANCHES = (DURABLE, VOLATILE)


def read_revision(connection: SqlConnection, branch: MigrationBranch) -> str | None:
    if not inspect(connection).has_table(branch.version_table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {branch.version_table}")).scalar()
    return None if found is None else str(found)


def migrate_branch(
    address: Address, branch: MigrationBranch, callback: Callable[[SqlConnection, str | None], None] | None = None
) -> tuple[str | None, str]:
    """Brings one branch to its head, in one transaction; returns the revisions before and after.

    after: runs in the same transaction, with the revision before.
    """
    with _open_transaction(address, branch) as connection:
        before = read_revision(connection, branch)
        if before != branch.head:
            from alembic import command

            if before is not None and before not in branch.list_revisions():
                raise build_newer_schema_error(address)
            configuration = branch.build_configuration()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
        if callback is not None:
            callback(connection, before)
    return before, branch.head


def build_newer_schema_error(address: Address) -> StoreProblem:
    return StoreProblem(
        "store-newer", f"{address} was made by a newer version of this program", "Update reconciler, then try again."
    )


def build_older_schema_error(address: Address) -> StoreProblem:
    return StoreProblem(
        "store-older", f"{address} has an older schema than this program needs", "Run `reconciler store upgrade`."
    )


@contextmanager
def _open_transaction(address: Address, branch: MigrationBranch) -> Iterator[SqlConnection]:
    engine = _build_engine(address, branch)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
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
    path = address.volatile if branch is VOLATILE else address.path
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _by_hand(raw, _record):  # type: ignore[no-untyped-def]
        # Python's sqlite3 would commit before every DDL statement; ours is one transaction.
        raw.isolation_level = None
        raw.execute("PRAGMA busy_timeout = 30000")

    @event.listens_for(engine, "begin")
    def _take_the_lock(connection: SqlConnection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _translate_error(address: Address, problem: exc.DBAPIError) -> StoreProblem:
    said = str(problem.orig)
    if isinstance(address, SqliteAddress):
        known = sqlite.explain_error(said, address)
    else:
        known = postgresql.explain_error(getattr(problem.orig, "sqlstate", None) or "", said, address)
    if known is None and isinstance(problem, exc.OperationalError) and not isinstance(address, SqliteAddress):
        known = StoreProblem(
            "store-unreachable", f"{address} cannot be reached", "Check the store's URL and that the server runs."
        )
    return known or build_unknown_error(address, type(problem.orig).__name__)
