"""Launches as an LMS signs them."""
