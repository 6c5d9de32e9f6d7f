"""Tests of the OneRoster reading."""
