"""Address, credentials and settings of one SFTP server."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class SftpAccount:
    """The settings of `config.models.sync.SftpSync`, with the secret: either password or private_key is set."""

    host: str
    port: int
    username: str
    #: of a ZIP, of a folder of CSV files, or a shell pattern
    path: str
    #: type and base64, as OpenSSH writes them; None only for a probe
    host_key: str | None
    password: SecretStr | None = field(default=None, repr=False)
    private_key: SecretStr | None = field(default=None, repr=False)
    #: chooses among files that match a pattern; None without a pattern
    pick: Literal["newest", "last_by_name"] | None = None
    #: suffix of the file that marks a roster as complete
    done_marker: str | None = None
    #: of the whole fetch
    timeout: timedelta = timedelta(hours=2)
