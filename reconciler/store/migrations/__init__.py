"""Create and upgrade the schema of the store: `durable` and `volatile` are two Alembic branches."""
