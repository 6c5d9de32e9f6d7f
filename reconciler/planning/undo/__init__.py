"""undo: see ARCHITECTURE.md."""
