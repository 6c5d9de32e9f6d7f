"""Customers repositories for tests."""
