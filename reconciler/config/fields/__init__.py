"""Holds the types of single values, such as IDs, dates, durations and URLs."""
