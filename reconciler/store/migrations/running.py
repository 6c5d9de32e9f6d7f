"""Run the migrations of a branch for its `env.py`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData


def run_branch_migrations(metadata: MetaData) -> None:
    """Run migrations on the connection, and in the transaction, that the Alembic configuration's `attributes` hold."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        target_metadata=metadata,
        transactional_ddl=True,
    )
    context.run_migrations()
