"""notify: see ARCHITECTURE.md."""
