"""pages: see ARCHITECTURE.md."""
