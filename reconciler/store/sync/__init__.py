"""Keep what unattended syncs leave behind: their records, held plans, notices and outgoing messages."""
