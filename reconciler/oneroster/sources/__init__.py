"""Fetch a OneRoster bundle from a server, by SFTP or by the REST API."""
