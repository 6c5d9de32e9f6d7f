"""load: see ARCHITECTURE.md."""
