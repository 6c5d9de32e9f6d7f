"""Run by Alembic for every revision of the volatile branch."""

from reconciler.store.migrations.running import run
from reconciler.store.tables import volatile

run(volatile)
