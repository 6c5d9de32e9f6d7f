"""Interface of everything that signs a request to an API."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import httpx


class Authorization(httpx.Auth):
    """Shared by the threads of one fetch. It signs for one host only: whoever asks another asks without it."""

    @abstractmethod
    def refresh_credentials(self, request: httpx.Request) -> bool:
        """After a 401 to a request that this has signed: whether the same request may be signed once more, by
        something that is newer. Raises Refusal where that could not be had."""

    @abstractmethod
    def list_secrets(self) -> Iterable[str]:
        """Return the secrets that must not be repeated from a server's answer."""

    def explain_unauthorized(self, answer: httpx.Response) -> str:
        """Return possible causes of a 401 besides a wrong key; empty if none is known."""
        return ""

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Permissions that were asked for and not granted, in words of their own."""
        return ()
