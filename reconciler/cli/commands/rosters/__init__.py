"""rosters: see ARCHITECTURE.md."""
