"""Notify people and programs of a customer's sync by email and signed webhooks."""
