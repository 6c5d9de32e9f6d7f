"""Read rosters as OneRoster gives them: a bundle is read whole or refused whole, and bad rows are quarantined."""
