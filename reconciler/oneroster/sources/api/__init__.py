"""Fetch a roster from a OneRoster REST API (1.1 and 1.2) as a bundle, and probe the API."""
