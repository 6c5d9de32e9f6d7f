"""Run the migrations of the volatile branch; called by Alembic."""

from reconciler.store.migrations.running import run_branch_migrations
from reconciler.store.tables import volatile

run_branch_migrations(volatile)
