"""Define the tables of the store, registered in `durable` and `volatile`, as SQLAlchemy Core."""

from reconciler.store.tables import declared, notices, people, record, roster, syncs
from reconciler.store.tables import volatile as volatile_tables
from reconciler.store.tables.metadata import durable, volatile

__all__ = ["declared", "durable", "notices", "people", "record", "roster", "syncs", "volatile", "volatile_tables"]
