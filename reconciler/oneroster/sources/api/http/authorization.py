"""Defines the interface of classes that sign requests to an API."""

from abc import abstractmethod
from collections.abc import Iterable

import httpx


class Authorization(httpx.Auth):
    """Signs the requests of one fetch; threads share it. It signs for one host only, never for another."""

    @abstractmethod
    def refresh_credentials(self, request: httpx.Request) -> bool:
        """Return whether a signed request that got a 401 may be signed again with renewed credentials.

        Raises Refusal if they cannot be renewed.
        """

    @abstractmethod
    def list_secrets(self) -> Iterable[str]:
        """Return the secrets that must not be repeated from a server's answer."""

    def explain_unauthorized(self, answer: httpx.Response) -> str:
        """Return a sentence on possible causes of a 401 besides a wrong key; empty if none is known."""
        return ""

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested permissions that were not granted, by short names."""
        return ()
