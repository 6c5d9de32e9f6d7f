"""Run by Alembic for every revision of the durable branch."""

from reconciler.store.migrations.running import run
from reconciler.store.tables import durable

run(durable)
