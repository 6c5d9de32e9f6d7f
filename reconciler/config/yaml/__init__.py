"""yaml: see ARCHITECTURE.md."""
