"""Commands that check and write the customer files."""
