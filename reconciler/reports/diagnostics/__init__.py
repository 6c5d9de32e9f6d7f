"""diagnostics: see ARCHITECTURE.md."""
