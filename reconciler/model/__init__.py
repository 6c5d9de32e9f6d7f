"""Holds the values that all rooms share. No I/O, no imports from other rooms, no polars or SQLAlchemy at run time."""
