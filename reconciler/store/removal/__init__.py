"""Delete data permanently: purges past retention, erasures on request, and the certificates of both."""
