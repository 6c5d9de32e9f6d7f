"""Freed pages of SQLite files hold what was in them until they are used again: after a removal they hold nothing.

PostgreSQL's own VACUUM does that, when its server thinks fit.
"""

from __future__ import annotations

from reconciler.model.diagnostic import Diagnostic, warning
from reconciler.store.address import SqliteAddress
from reconciler.store.connection import Connection
from reconciler.store.live import Store
from reconciler.store.problem import StoreProblem


def overwrite_freed(connection: Connection) -> None:
    """From here on, what this connection deletes is overwritten. Outside a transaction."""
    if isinstance(connection.dialect.address, SqliteAddress):
        connection.rows("PRAGMA main.secure_delete = ON")


def wipe(store: Store) -> tuple[Diagnostic, ...]:
    """Makes both files anew without what earlier writes left in them, and empties their logs. A warning where another
    process is in the way."""
    if not isinstance(store.address, SqliteAddress):
        return ()
    left = []
    for volatile in (False, True):
        path = store.address.volatile if volatile else store.address.path
        with store.connected(volatile=volatile) as connection:
            try:
                wiped = _wiped(connection, str(path.absolute().parent))
            except StoreProblem as problem:
                left.append(_left(str(path), problem.diagnostic.message))
                continue
        if not wiped:
            left.append(_left(str(path), "another process reads it"))
    return tuple(left)


def _wiped(connection: Connection, folder: str) -> bool:
    # The copy that VACUUM makes is as large as the store: beside it is room for it, in memory perhaps not.
    quoted = folder.replace("'", "''")
    connection.rows("PRAGMA temp_store = FILE")
    connection.rows(f"PRAGMA temp_store_directory = '{quoted}'")
    connection.rows("VACUUM")
    busy, *_ = connection.row("PRAGMA wal_checkpoint(TRUNCATE)") or (1,)
    return not busy


def _left(path: str, why: str) -> Diagnostic:
    return warning(
        "freed-pages-left",
        f"the rows are gone, but freed pages of {path} and its log may still hold what was in them: {why}",
        hint="when no other process uses the store, run the same command again",
    )
