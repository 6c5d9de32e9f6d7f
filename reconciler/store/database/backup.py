"""Copy a file of a SQLite store before a migration changes it."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from reconciler.store.address import build_sqlite_uri
from reconciler.store.errors import StoreProblem


def back_up_file(path: Path, revision: str) -> Path:
    """Copy a database to a new 0600 file beside it, named after its revision and the time; return the copy's path.

    Includes the write-ahead log. The caller holds the write lock, so that the copy is what the migration changes.
    Raises StoreProblem `backup-failed`; then no part of a copy is left.
    """
    # A copy that a killed process left behind has the same name, and is replaced.
    partial = path.with_name(f".{path.name}.backup.part")
    is_complete = False
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy_database(path, partial)
        target = _find_free_name(path, revision)
        partial.rename(target)
        is_complete = True
        _synchronize_folder(path.parent)
    except (sqlite3.Error, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise StoreProblem(
            "backup-failed",
            f"{path} cannot be backed up: {reason}; nothing was changed",
            "Free as much space beside the store as it takes up, then try again.",
        ) from None
    finally:
        if not is_complete:
            for each in (partial, *(partial.with_name(f"{partial.name}-{end}") for end in ("journal", "wal", "shm"))):
                each.unlink(missing_ok=True)
    return target


def _copy_database(path: Path, target: Path) -> None:
    """Copy all pages, and check that the copy is whole."""
    with (
        closing(sqlite3.connect(build_sqlite_uri(path), uri=True)) as source,
        closing(sqlite3.connect(build_sqlite_uri(target), uri=True)) as copy,
    ):
        copy.execute("PRAGMA synchronous = FULL")
        source.backup(copy)
        damage = copy.execute("PRAGMA quick_check").fetchone()
    if damage != ("ok",):
        raise sqlite3.DatabaseError("the copy is damaged")


def _find_free_name(path: Path, revision: str) -> Path:
    """Return a name that no file has. The write lock keeps other migrations from choosing it too."""
    name = f"{path.stem}-{revision}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    target, number = path.with_name(f"{name}.backup"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{name}-{number}.backup")
    return target


def _synchronize_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
