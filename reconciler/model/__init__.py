"""The values everybody speaks in. No I/O, no imports of ours outside this room, none of polars or SQLAlchemy at run time."""
