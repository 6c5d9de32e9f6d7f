"""Fetch rosters from their sources, probe the sources, and save rosters as snapshots."""
