"""Where rosters are fetched from. Whatever the kind of source, what comes of a fetch is a OneRoster bundle."""
