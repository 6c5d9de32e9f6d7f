"""The values everybody speaks in: no I/O, no imports from other rooms, none of polars or SQLAlchemy at run time."""
