"""Serve people: launches from an LMS, accounts, lessons and the mobile API. Knows nothing of cli or operations."""
