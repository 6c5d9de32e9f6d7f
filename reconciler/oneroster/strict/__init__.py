"""Check a bundle against the letter of the standard and report each deviation, whether or not a sync accepts it."""
