"""Check a OneRoster ZIP for strict conformance and report each violation, even of what a sync accepts."""
