"""write: see ARCHITECTURE.md."""
