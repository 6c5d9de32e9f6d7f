"""Carry out one customer's plan in one transaction, with the before-images that undo it."""
