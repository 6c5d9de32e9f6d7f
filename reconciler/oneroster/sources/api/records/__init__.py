"""records: see ARCHITECTURE.md."""
