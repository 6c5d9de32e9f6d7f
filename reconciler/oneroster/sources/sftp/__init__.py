"""Fetch a bundle from an SFTP server, and probe the server."""

from reconciler.oneroster.sources.sftp.account import SftpAccount as SftpAccount
from reconciler.oneroster.sources.sftp.source import SftpSource as SftpSource
