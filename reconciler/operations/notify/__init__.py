"""Notify subscribers of a customer's syncs by webhook and email."""
