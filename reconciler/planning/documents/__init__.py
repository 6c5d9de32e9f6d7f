"""Compares YAML documents with those last applied: values, new ids and settings that protect people less."""
