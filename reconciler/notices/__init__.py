"""Telling people and programs what became of a customer's sync: signed posts to a webhook, and mail."""
