"""Connect to SQLite or PostgreSQL: addresses, schema, transactions, frames and customer locks."""

from reconciler.store.database.connection import Connection as Connection
from reconciler.store.database.lock import lock_sync as lock_sync
from reconciler.store.database.schema import DURABLE as DURABLE
