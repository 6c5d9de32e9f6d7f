"""Connect to SQLite or PostgreSQL: addresses, schema, transactions, frames and customer locks."""
