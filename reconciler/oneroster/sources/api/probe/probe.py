"""Asks a server some twenty questions to find out what it does; nothing of what it sends is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from reconciler.model.diagnostic import Refusal, Severity
from reconciler.oneroster.sources.api.account import ApiAccount, Signature
from reconciler.oneroster.sources.api.http.answer import Asking
from reconciler.oneroster.sources.api.probe import habits
from reconciler.oneroster.sources.api.probe.question import OF_ONE_QUESTION, Look, look
from reconciler.oneroster.sources.api.records.collections import COLLECTIONS
from reconciler.oneroster.sources.interface import Finding

#: Rows of the largest page that is asked for.
LARGEST = 10_000
#: An offset that no roster has.
NOWHERE = 100_000_000

#: Moments that every row was modified before, and after.
FUTURE, PAST = "2999-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"

_SIGNATURES: tuple[Signature, ...] = ("hmac-sha1", "hmac-sha256")


@runtime_checkable
class Signing(Protocol):
    """What an `Asking` also has where it signs by itself."""

    @property
    def withheld(self) -> tuple[str, ...]:
        """Scopes that were asked for and not granted."""

    def signed_by(self, signature: Signature) -> Asking:
        """The same, signed by another method."""


def probe(account: ApiAccount, asking: Asking, *, clock: Callable[[], float] = time.monotonic) -> tuple[Finding, ...]:
    """In the order in which a person would want to know. Raises Refusal where no collection can be read at all, or
    the server wants to be left alone. clock: seconds that only go forward."""
    first = COLLECTIONS[account.version][0].path
    signing, asking = _sign_in(account, asking, first)
    ask = _Questions(asking, clock)
    pages = {each.name: ask(each.path, {"limit": "3", "offset": "0"}) for each in COLLECTIONS[account.version]}
    if not any(page.good for page in pages.values()):
        raise Refusal(page.refused for page in pages.values() if page.refused)
    if isinstance(asking, Signing) and asking.withheld:
        missing = " ".join(asking.withheld)
        signing.append(Finding("scopes-withheld", missing, "asked for and not granted", Severity.WARNING))
    name = _largest(pages)
    three, path = pages[name], f"/{name}"
    large = ask(path, {"limit": str(LARGEST), "offset": "0"})
    one = ask(path, {"limit": "1", "offset": "0"})
    behind = ask(path, {"limit": "1", "offset": str(len(large.rows) or LARGEST)})
    followed = ask.behind(three, path)
    counts = [habits.rows_of(each.name, pages[each.name], each.required) for each in COLLECTIONS[account.version]]
    return (
        *signing,
        habits.version(pages["users"], account.version),
        *counts,
        habits.page_clamp(large, LARGEST, account.page_size, behind),
        habits.limit(one, three),
        habits.offset(one, ask(path, {"limit": "1", "offset": "1"})),
        habits.beyond(ask(path, {"limit": "1", "offset": str(NOWHERE)})),
        habits.sort(ask.sorted(path, "asc"), ask.sorted(path, "desc"), more=len(large.rows) > 3),
        habits.total(three),
        habits.link(three, followed),
        habits.filtering(
            ask.filtered(path, f"dateLastModified>'{FUTURE}'"),
            ask.filtered(path, f"dateLastModified>'{PAST}'"),
        ),
        habits.tobedeleted(ask.filtered(path, "status='tobedeleted'"), large),
        habits.envelope(pages),
        habits.booleans(pages["users"]),
        habits.moments(pages),
        habits.days(pages),
        habits.speed(large),
    )


class _Questions:
    def __init__(self, asking: Asking, clock: Callable[[], float]) -> None:
        self._asking = asking
        self._clock = clock

    def __call__(self, path: str, query: Mapping[str, str]) -> Look:
        return look(lambda: self._asking.get(path, query), self._clock)

    def sorted(self, path: str, order: str) -> Look:
        return self(path, {"limit": "3", "offset": "0", "sort": "sourcedId", "orderBy": order})

    def filtered(self, path: str, filter: str) -> Look:
        return self(path, {"limit": "1", "offset": "0", "filter": filter})

    def behind(self, page: Look, path: str) -> Look | None:
        """Where the page's Link leads; None: it has none."""
        link = page.next
        if link is None:
            return None
        # RFC 8288 has it relative to its page, and an `Asking` to the base address.
        return look(lambda: self._asking.follow(path.lstrip("/") + link if link.startswith("?") else link), self._clock)


def _sign_in(account: ApiAccount, asking: Asking, path: str) -> tuple[list[Finding], Asking]:
    """Findings on signatures, at most one request for each method, and what asks by one that works."""
    if account.authorization != "oauth1" or not isinstance(asking, Signing):
        return [Finding("sign-in", account.authorization)], asking
    outcomes: dict[Signature, Refusal | None] = {}
    for signature in _SIGNATURES:
        outcomes[signature] = _refusal(asking.signed_by(signature), path)
    working = [signature for signature, refusal in outcomes.items() if refusal is None]
    if not working:
        refusal = outcomes[account.signature]
        assert refusal is not None
        raise refusal
    findings = [Finding("sign-in", account.authorization)]
    for signature in _SIGNATURES:
        ours, works = signature == account.signature, signature in working
        remark = f"set signature: {working[0]}" if ours and not works else "in use" if ours else ""
        severity = Severity.WARNING if ours and not works else Severity.INFO
        findings.append(Finding(f"signature-{signature}", "accepted" if works else "refused", remark, severity))
    return findings, asking if account.signature in working else asking.signed_by(working[0])


def _refusal(asking: Asking, path: str) -> Refusal | None:
    """Of the signature: anything else that is said has read it."""
    try:
        asking.get(path, {"limit": "1", "offset": "0"})
    except Refusal as refusal:
        codes = {diagnostic.code for diagnostic in refusal.diagnostics}
        if codes & {"unauthorized"}:
            return refusal
        if not codes <= OF_ONE_QUESTION:
            raise
    return None


def _largest(pages: Mapping[str, Look]) -> str:
    """users, where there are enough of them to see pages; else what there is most of."""
    if len(pages["users"].rows) >= 3:
        return "users"
    return max(pages, key=lambda name: (pages[name].total or 0, len(pages[name].rows)))
