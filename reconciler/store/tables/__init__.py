"""The store's tables, as SQLAlchemy Core. Importing this package names them all in `durable` and `volatile`."""

from reconciler.store.tables import declared, notices, people, record, roster, syncs
from reconciler.store.tables import volatile as volatile_tables
from reconciler.store.tables.metadata import durable, volatile

__all__ = ["declared", "durable", "notices", "people", "record", "roster", "syncs", "volatile", "volatile_tables"]
