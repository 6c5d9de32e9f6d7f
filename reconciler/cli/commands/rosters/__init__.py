"""Commands that check, fetch, probe and sync rosters."""
