"""Whole runs of syncs, undos and interrupted applies."""
