"""Assemble a roster from its checked files: references, roles and terms."""

from reconciler.oneroster.roster.references import find_cycle_members as find_cycle_members
