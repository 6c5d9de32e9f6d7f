"""Commands that explain, purge and erase people's data in the store."""
