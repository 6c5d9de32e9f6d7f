"""Read one CSV file into a frame of checked rows, and quarantine the rows that fail a check."""

from reconciler.oneroster.csv_file.quarantine import KNOWN_BY as KNOWN_BY
