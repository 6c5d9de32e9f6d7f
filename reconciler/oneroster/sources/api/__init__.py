"""A OneRoster REST API (1.1 and 1.2) as a source."""
