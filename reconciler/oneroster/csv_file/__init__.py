"""Read one CSV file into a frame of checked rows, and quarantine the rows that fail a check."""
