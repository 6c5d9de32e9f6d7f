"""Render values as text for people and programs; a report never sees a store."""
