"""Overlay a delta roster on the last good roster."""
