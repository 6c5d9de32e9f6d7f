"""Run by Alembic for every revision of the volatile branch."""

from reconciler.store.migrations.running import run_branch_migrations
from reconciler.store.tables import volatile

run_branch_migrations(volatile)
