"""probe: see ARCHITECTURE.md."""
