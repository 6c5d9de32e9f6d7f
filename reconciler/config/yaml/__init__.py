"""Reads YAML into trees whose values know their file, line and column."""
