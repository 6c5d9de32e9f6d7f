"""The values everybody speaks in. No I/O, nothing of ours from outside this room, no polars or SQLAlchemy at run time."""
