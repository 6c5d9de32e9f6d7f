"""An SFTP server as a source."""
