"""people: see ARCHITECTURE.md."""
