"""OneRoster bundles, archives and snapshots."""
