"""Sync rosters on schedule: fetch, plan and apply within limits, using the configuration last applied."""
