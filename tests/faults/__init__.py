"""Tests of the faults of sources."""
