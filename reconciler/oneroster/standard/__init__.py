"""standard: see ARCHITECTURE.md."""
