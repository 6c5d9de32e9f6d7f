"""Run the migrations of the durable branch; called by Alembic."""

from reconciler.store.migrations.running import run_branch_migrations
from reconciler.store.tables import durable

run_branch_migrations(durable)
