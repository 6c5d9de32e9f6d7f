"""Keep the store of customers, rosters and runs, on SQLite and PostgreSQL behind one interface."""
