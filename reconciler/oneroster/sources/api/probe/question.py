"""Sends one request of a probe, and holds its response."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.sources.api.http.answer import ApiResponse
from reconciler.oneroster.sources.api.http.errors import sanitize_text
from reconciler.oneroster.sources.api.pages.facts import parse_next_link, parse_total_rows

#: Codes of failures that concern one request; after any other, further requests are useless.
SINGLE_REQUEST_CODES = frozenset(
    {
        "answer-too-large",
        "bad-request",
        "broken-json",
        "empty-answer",
        "forbidden",
        "link-refused",
        "no-answer-in-time",
        "not-found",
        "not-json",
        "redirect-refused",
        "server-error",
        "unauthorized",
        "unexpected-status",
        "unknown-encoding",
    }
)

#: Rows of a page to inspect.
SAMPLE_ROWS = 200


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    """The response to one request of a probe."""

    #: of one page, as received
    rows: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    #: of the list in the envelope; None without a list, empty for a bare list
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: until the response arrived
    seconds: float = 0.0
    error: Diagnostic | None = None

    @property
    def good(self) -> bool:
        return self.error is None

    @property
    def outcome(self) -> str:
        return self.error.code if self.error else "answered"

    @property
    def ids(self) -> list[str]:
        return [str(row.get("sourcedId")) for row in self.rows]

    @property
    def total(self) -> int | None:
        return parse_total_rows(self.headers)

    @property
    def next(self) -> str | None:
        return parse_next_link(self.headers.get("link", ""))

    def list_values(self, *names: str) -> list[Any]:
        """Return the values of these properties in the first rows, without empty ones."""
        rows = self.rows[:SAMPLE_ROWS]
        return [row[name] for row in rows for name in names if row.get(name) not in (None, "")]


def send_probe_request(ask: Callable[[], ApiResponse], clock: Callable[[], float] = time.monotonic) -> ProbeResponse:
    """Send a request; a failure that concerns it alone is part of the result. Raises Refusal otherwise."""
    start = clock()
    try:
        answer = ask()
    except Refusal as refusal:
        diagnostic = refusal.diagnostics[0]
        if diagnostic.code not in SINGLE_REQUEST_CODES:
            raise
        return ProbeResponse(error=diagnostic, seconds=clock() - start)
    rows, key = _parse_page(answer.body)
    return ProbeResponse(rows, key, answer.headers, clock() - start)


def mask_digits(value: object) -> str:
    """Return the form of a date or moment without its value: `9999-99-99T99:99:99.999Z`."""
    letters = re.sub(r"[^\W\d_TZ]", "a", str(value))
    return sanitize_text(re.sub(r"\d", "9", letters))[:40]


def _parse_page(body: bytes) -> tuple[list[Mapping[str, Any]], str | None]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [], None
    lists = {"": page} if isinstance(page, list) else page if isinstance(page, dict) else {}
    for key, rows in lists.items():
        if isinstance(rows, list):
            return [row for row in rows if isinstance(row, dict)], key
    return [], None
