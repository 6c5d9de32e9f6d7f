"""holds: see ARCHITECTURE.md."""
