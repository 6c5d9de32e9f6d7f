"""delta: see ARCHITECTURE.md."""
