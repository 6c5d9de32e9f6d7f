"""Compares YAML documents with those last applied: values, new IDs and settings that protect people less."""
