"""Tests of the network access."""
