"""csv_file: see ARCHITECTURE.md."""
