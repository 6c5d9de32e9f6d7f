"""roster: see ARCHITECTURE.md."""
