"""Keep the records, held plans, notices and outgoing messages of unattended syncs."""
