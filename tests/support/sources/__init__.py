"""Roster sources other than the roster server."""
