"""Fetch a bundle from an SFTP server, and probe the server."""
