"""apply: see ARCHITECTURE.md."""
