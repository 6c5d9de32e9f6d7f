"""changes: see ARCHITECTURE.md."""
