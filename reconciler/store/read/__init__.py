"""read: see ARCHITECTURE.md."""
