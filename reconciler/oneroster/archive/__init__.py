"""archive: see ARCHITECTURE.md."""
