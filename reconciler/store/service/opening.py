"""Open an existing store for requests."""

from reconciler.store.address import Address, SqliteAddress
from reconciler.store.service.database import RequestDatabase
from reconciler.store.service.postgresql import PostgresqlRequestDatabase
from reconciler.store.service.sqlite import SqliteRequestDatabase


def open_request_database(address: Address) -> RequestDatabase:
    """Open a store that `open_store` found to exist, to be up to date and to have the right key."""
    if isinstance(address, SqliteAddress):
        return SqliteRequestDatabase(address)
    return PostgresqlRequestDatabase(address)
