"""Lay a bundle of changes (delta) over the last good roster."""
