"""Run by Alembic for every revision of the durable branch."""

from reconciler.store.migrations.running import run_branch_migrations
from reconciler.store.tables import durable

run_branch_migrations(durable)
