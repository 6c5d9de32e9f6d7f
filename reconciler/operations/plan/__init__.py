"""Make a plan from the files, the rosters and the store."""
