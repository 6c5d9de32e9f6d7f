"""Reach other servers: only allowed addresses, with checked certificates, and no faster than they accept."""
