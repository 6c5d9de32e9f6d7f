"""The store's migrations: `durable` and `volatile` are two Alembic branches with a version table each."""
