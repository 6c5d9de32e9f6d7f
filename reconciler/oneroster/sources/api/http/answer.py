"""One good answer of an API, and who gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A 200 whose body is JSON as far as can be told without reading all of it: it begins and ends as JSON does, and
    has as many brackets of each kind opened as closed.

    headers: names in lower case. body: unpacked, not empty, without a byte order mark. address: path and query of the
    request, without what signs it and with no value of a parameter that OneRoster does not know, for messages.
    """

    body: bytes
    headers: Mapping[str, str]
    address: str


class ApiClient(Protocol):
    """Signs, waits where it has to, tries again what may be tried again, and refuses everything that is no answer."""

    def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
        """Return the answer to a GET below the base address, such as `/users`.

        Raises Refusal with a code of `http.errors`.
        """

    def follow_link(self, link: str) -> ApiResponse:
        """The target of a Link header, absolute, or relative to the base address (RFC 8288 has it relative to the page:
        join it with `Answer.address` first). Raises Refusal, also where it leads to another host."""
