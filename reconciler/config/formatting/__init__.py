"""formatting: see ARCHITECTURE.md."""
