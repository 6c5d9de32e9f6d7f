"""Network servers other than the roster server."""
