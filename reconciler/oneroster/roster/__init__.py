"""Assemble a roster from its checked files: references, roles and terms."""
