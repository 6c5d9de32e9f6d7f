"""Address, credentials and settings of one SFTP server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class SftpAccount:
    """As `config.models.sync.SftpSync` says it, with its secret: exactly one of password and private_key is given.

    path: of a ZIP, of a folder of CSV files, or a pattern as a shell reads it; then pick says which of those that fit.
    host_key: type and base64, as OpenSSH writes them; None only for a probe. done_marker: the ending of the file that
    says that the roster is whole. timeout: of the whole fetch.
    """

    host: str
    port: int
    username: str
    path: str
    host_key: str | None
    password: SecretStr | None = field(default=None, repr=False)
    private_key: SecretStr | None = field(default=None, repr=False)
    pick: Literal["newest", "last_by_name"] | None = None
    done_marker: str | None = None
    timeout: timedelta = timedelta(hours=2)
