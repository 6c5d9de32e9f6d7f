"""Tests of the reconciler, its demo and its README."""
