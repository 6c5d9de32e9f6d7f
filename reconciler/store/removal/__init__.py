"""removal: see ARCHITECTURE.md."""
