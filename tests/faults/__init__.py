"""Tests of faults in sources, engine and store."""
