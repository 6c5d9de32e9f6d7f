"""Connect to SQLite or PostgreSQL: addresses, schema, transactions, frames and the locks of customers."""
