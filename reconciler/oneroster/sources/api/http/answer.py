"""Defines a valid response of an API, and the interface of a client."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response with status 200 whose body looks like JSON: it begins and ends like JSON and its brackets balance."""

    #: unpacked, not empty, without a byte order mark
    body: bytes
    #: by lowercase name
    headers: Mapping[str, str]
    #: path and query of the request, for messages: without signature and values of parameters unknown to OneRoster
    address: str


class ApiClient(Protocol):
    """Sends requests: signs, waits, retries, and refuses everything that is no valid response."""

    def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
        """Return the response to a GET below the base URL, such as `/users`.

        Raises Refusal with a code of `http.errors`.
        """

    def follow_link(self, link: str) -> ApiResponse:
        """Return the response of a Link header's target, which is absolute or relative to the base URL.

        RFC 8288 makes it relative to the page, so join it with `ApiResponse.address` first. Raises Refusal, also if the
        link leads to another host.
        """
