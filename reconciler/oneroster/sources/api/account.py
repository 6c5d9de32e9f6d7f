"""Address, credentials and settings of one OneRoster API."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr

SignatureMethod = Literal["hmac-sha1", "hmac-sha256"]


@dataclass(frozen=True, slots=True)
class ApiAccount:
    """The settings of `config.models.sync.ApiSync`, with the secret."""

    #: base URL without a slash at its end
    url: str
    #: `1.1` or `1.2`
    version: str
    authorization: Literal["oauth1", "oauth2"]
    consumer_key: str
    secret_key: SecretStr = field(repr=False)
    signature: SignatureMethod = "hmac-sha1"
    #: the URL that issues tokens (oauth2)
    token_url: str | None = None
    scopes: tuple[str, ...] = ()
    #: rows to request at once
    page_size: int = 1000
    #: of the whole fetch
    timeout: timedelta = timedelta(hours=2)
    #: between full rosters, fetch only changes
    delta: bool = False
