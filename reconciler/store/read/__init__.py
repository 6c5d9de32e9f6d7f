"""Read the store in one consistent view: customers, documents, rosters, runs and holds."""
