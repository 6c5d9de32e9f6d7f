"""A store that was opened: what it is, and the way in. Connections are made for one task and closed after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from reconciler.model.plan import StoreIdentity
from reconciler.store.address import Address, SqliteAddress
from reconciler.store.connection import Connection
from reconciler.store.dialect import Dialect
from reconciler.store.key import StoreKey
from reconciler.store.postgresql import Postgresql
from reconciler.store.problem import StoreProblem
from reconciler.store.reader import Reader
from reconciler.store.sqlite import Sqlite


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
