"""Verbs that explain, purge and erase what the store holds of people."""
