"""Remove data for good: purges past retention, erasures on request, and the certificates of both."""
