"""database: see ARCHITECTURE.md."""
