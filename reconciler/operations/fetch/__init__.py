"""fetch: see ARCHITECTURE.md."""
