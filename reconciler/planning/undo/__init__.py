"""Plans the changes that reverse a run."""
