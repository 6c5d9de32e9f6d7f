"""fields: see ARCHITECTURE.md."""
