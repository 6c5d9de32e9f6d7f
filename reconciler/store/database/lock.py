"""Lock a customer so that one apply or sync of it runs at a time.

A lock ends with its process, and its error names the process that holds it.
"""

import fcntl
import getpass
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from reconciler.model.ids import CustomerId
from reconciler.model.moment import format_moment
from reconciler.store.address import SqliteAddress
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.database.dialect import MIN_WAITING_SECONDS, Dialect
from reconciler.store.errors import StoreProblem

RETRY_SECONDS = 0.1
PROCESS_SQL = "SELECT pg_backend_pid()"
#: PostgreSQL cuts an application's name to this many bytes.
LABEL_LENGTH = 63


def describe_process() -> str:
    """Return this process for people: `ann@host pid 123`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


@contextmanager
def lock_customer(
    dialect: Dialect, slug: str, timeout: float = 0.0, *, former_id: str | None = None
) -> Iterator[Connection]:
    """Lock a customer and yield the connection to write through; on PostgreSQL the lock belongs to the connection.

    timeout: seconds to wait for the lock. former_id: the current id of a customer that is being renamed, to lock as
    well; else None. Raises StoreProblem `locked`, which names the holder.
    """
    # Sorted, so that two applies never wait for each other.
    slugs = sorted({slug, former_id or slug})
    with ExitStack() as held:
        if isinstance(dialect.address, SqliteAddress):
            for each in slugs:
                held.enter_context(_hold_file_lock(dialect.address.locks, each, timeout))
            connection = held.enter_context(open_connection(dialect))
            connection.limit_waiting(max(timeout, MIN_WAITING_SECONDS))
            yield connection
            return
        connection = held.enter_context(open_connection(dialect))
        label = f"reconciler {describe_process()}"[:LABEL_LENGTH]
        connection.fetch_rows("SELECT set_config('application_name', :label, false)", {"label": label})
        _refuse_transaction_pool(dialect, connection)
        connection.limit_waiting(max(timeout, MIN_WAITING_SECONDS))
        for each in slugs:
            held.enter_context(_hold_advisory_lock(connection, each, timeout))
        yield connection


def _refuse_transaction_pool(dialect: Dialect, connection: Connection) -> None:
    """Raise StoreProblem `store-pooled` if a pool in transaction mode, such as PgBouncer's, lends one server process to
    several connections: a lock would then be nobody's, and two applies of a customer could run at once.
    """
    with open_connection(dialect) as other:
        other.execute("BEGIN")
        # The other transaction gets the process that this connection has just used, or takes another one in between.
        before = connection.fetch_scalar(PROCESS_SQL)
        shared = other.fetch_scalar(PROCESS_SQL)
        after = connection.fetch_scalar(PROCESS_SQL)
        other.execute("ROLLBACK")
    if shared in (before, after) or before != after:
        raise StoreProblem(
            "store-pooled",
            f"{dialect.address} is a connection pool in transaction mode, where a lock does not last;"
            " nothing was changed",
            "Connect to the server itself, or to a pool in session mode.",
        )


@contextmanager
def lock_sync(dialect: Dialect, slug: CustomerId) -> Iterator[None]:
    """Lock the syncs of a customer separately, so that applies can run while a roster is fetched.

    Raises StoreProblem `locked` without waiting.
    """
    name = f"{slug}.sync"
    if isinstance(dialect.address, SqliteAddress):
        # A file is enough: nothing is written through it.
        with _hold_file_lock(dialect.address.locks, name, 0.0):
            yield
    else:
        with lock_customer(dialect, name):
            yield


@contextmanager
def _hold_advisory_lock(connection: Connection, slug: str, timeout: float) -> Iterator[None]:
    number = compute_lock_number(slug)
    _wait_for_lock(
        slug, timeout, lambda: _try_advisory_lock(connection, number), lambda: _find_advisory_holder(connection, number)
    )
    try:
        yield
    finally:
        # Closing the connection releases the lock only a moment later. If the server ended the connection, it
        # released the lock too, and the writer already has its error.
        if not connection.closed:
            with suppress(StoreProblem):
                connection.fetch_rows("SELECT pg_advisory_unlock(:number)", {"number": number})


def compute_lock_number(slug: str) -> int:
    """Return the signed 64-bit number of a customer's advisory lock."""
    digest = hashlib.sha256(f"reconciler/customer/{slug}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _wait_for_lock(slug: str, timeout: float, try_lock: Callable[[], bool], describe_holder: Callable[[], str]) -> None:
    end = time.monotonic() + timeout
    while not try_lock():
        if time.monotonic() >= end:
            raise StoreProblem(
                "locked",
                f"{slug} is being applied by {describe_holder() or 'another process'}; nothing was changed",
                "Wait until it is done, then plan again.",
            )
        time.sleep(RETRY_SECONDS)


@contextmanager
def _hold_file_lock(folder: Path, slug: str, timeout: float) -> Iterator[None]:
    path = folder / f"{slug}.lock"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StoreProblem(
            "store-read-only", f"{path} cannot be created: {problem.strerror}", "Check the directory's permissions."
        ) from None
    try:
        _wait_for_lock(
            slug, timeout, lambda: _try_file_lock(file), lambda: path.read_text("utf-8", errors="replace").strip()
        )
        os.ftruncate(file, 0)
        # On a full disk the lock is held without its holder's name; the store reports the full disk.
        with suppress(OSError):
            os.pwrite(file, f"{describe_process()} since {format_moment(datetime.now(UTC))}\n".encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)


def _try_file_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_advisory_lock(connection: Connection, number: int) -> bool:
    return bool(connection.fetch_scalar("SELECT pg_try_advisory_lock(:number)", {"number": number}))


HOLDER_SQL = """
SELECT a.application_name,
       to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
       to_char(a.backend_start AT TIME ZONE 'UTC', 'HH24MISS') AS second
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((CAST(l.classid AS bigint) << 32) | CAST(l.objid AS bigint)) = :number
"""


def _find_advisory_holder(connection: Connection, number: int) -> str:
    row = connection.fetch_row(HOLDER_SQL, {"number": number})
    if row is None:
        return ""
    name, day, second = row
    return f"{name.removeprefix('reconciler ')} since {day}T{second[:2]}:{second[2:4]}:{second[4:]}Z"
