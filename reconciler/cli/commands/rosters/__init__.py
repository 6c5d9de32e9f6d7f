"""Verbs that check, fetch, probe and sync rosters."""
