"""A store that was opened: what it is, and the way in. Connections are made for one task and closed after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reconciler.model.plan import StoreIdentity
from reconciler.store.address import Address, SqliteAddress
from reconciler.store.connection import Connection
from reconciler.store.dialect import Dialect
from reconciler.store.key import StoreKey
from reconciler.store.postgresql import Postgresql
from reconciler.store.reader import Reader
from reconciler.store.sqlite import Sqlite


def dialect_of(address: Address) -> Dialect:
    return Sqlite(address) if isinstance(address, SqliteAddress) else Postgresql(address)


@dataclass(frozen=True, slots=True)
class Store:
    """Made by `open_store`. uuid and environment say which store it is."""

    address: Address
    uuid: str
    environment: str
    key: StoreKey = field(repr=False)

    @property
    def identity(self) -> StoreIdentity:
        return StoreIdentity(self.uuid, self.environment)

    @contextmanager
    def connected(self, *, volatile: bool = False, label: str = "reconciler") -> Iterator[Connection]:
        dialect = dialect_of(self.address)
        connection = Connection(dialect, dialect.connect(volatile=volatile, label=label))
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent view of everything durable, whatever others write meanwhile."""
        with self.connected() as connection, connection.reading():
            yield Reader(connection, self)
