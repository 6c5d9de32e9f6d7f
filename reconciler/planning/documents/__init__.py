"""documents: see ARCHITECTURE.md."""
