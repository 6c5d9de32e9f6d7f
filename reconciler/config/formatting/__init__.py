"""Writes YAML files in canonical form and changes single values, without losing a comment."""
