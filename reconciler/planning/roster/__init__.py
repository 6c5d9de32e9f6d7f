"""Compares the people, orgs, classes and enrollments that a roster wants with those in the store."""
