"""Customers in YAML and OneRoster rosters, compared with the live store, planned, and applied."""

__version__ = "0.1.0"
