"""OneRoster server for tests, faults included."""
