"""What both branches' `env.py` do: run on the connection they are handed, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import MetaData


def run_branch_migrations(metadata: MetaData) -> None:
    """`attributes` of the Alembic configuration hold the connection and the version table's name."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        target_metadata=metadata,
        transactional_ddl=True,
    )
    context.run_migrations()
