"""Address, credentials and settings of one OneRoster API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from pydantic import SecretStr

SignatureMethod = Literal["hmac-sha1", "hmac-sha256"]


@dataclass(frozen=True, slots=True)
class ApiAccount:
    """As `config.models.sync.ApiSync` says it, with its secret. url: the base address without a slash at its end.

    version: `1.1` or `1.2`. token_url: where tokens are given out (oauth2). page_size: rows to ask for at once.
    timeout: of the whole fetch. delta: whether only what changed may be asked for between whole rosters.
    """

    url: str
    version: str
    authorization: Literal["oauth1", "oauth2"]
    consumer_key: str
    secret_key: SecretStr = field(repr=False)
    signature: SignatureMethod = "hmac-sha1"
    token_url: str | None = None
    scopes: tuple[str, ...] = ()
    page_size: int = 1000
    timeout: timedelta = timedelta(hours=2)
    delta: bool = False
