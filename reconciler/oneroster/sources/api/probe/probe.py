"""Probes an API with about twenty requests to find out its behavior; nothing that it sends is kept."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from reconciler.model.diagnostic import Refusal, Severity
from reconciler.oneroster.sources.api.account import ApiAccount, SignatureMethod
from reconciler.oneroster.sources.api.http.answer import ApiClient
from reconciler.oneroster.sources.api.probe import habits
from reconciler.oneroster.sources.api.probe.question import SINGLE_REQUEST_CODES, ProbeResponse, send_probe_request
from reconciler.oneroster.sources.api.records.collections import COLLECTIONS
from reconciler.oneroster.sources.interface import ProbeFinding

#: Rows of the largest page to request.
LARGEST = 10_000
#: An offset beyond the end of any roster.
OFFSET_BEYOND_END = 100_000_000

#: A moment after every modification, and one before.
FUTURE, PAST = "2999-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"

_SIGNATURES: tuple[SignatureMethod, ...] = ("hmac-sha1", "hmac-sha256")


@runtime_checkable
class SigningApiClient(Protocol):
    """An `ApiClient` that also signs requests itself."""

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested scopes that were not granted."""

    def copy_with_signature(self, signature: SignatureMethod) -> ApiClient:
        """Return a client that signs by another method."""


def probe_api(
    account: ApiAccount, api_client: ApiClient, *, clock: Callable[[], float] = time.monotonic
) -> tuple[ProbeFinding, ...]:
    """Return the findings, the most important first. clock: monotonic seconds.

    Raises Refusal if no collection can be read, or the server asks for no more requests.
    """
    first = COLLECTIONS[account.version][0].path
    signing, api_client = _check_sign_in(account, api_client, first)
    ask = _ProbeClient(api_client, clock)
    pages = {each.name: ask(each.path, {"limit": "3", "offset": "0"}) for each in COLLECTIONS[account.version]}
    if not any(page.good for page in pages.values()):
        raise Refusal(page.error for page in pages.values() if page.error)
    if isinstance(api_client, SigningApiClient) and api_client.missing_scopes:
        missing = " ".join(api_client.missing_scopes)
        signing.append(ProbeFinding("scopes-withheld", missing, "requested but not granted", Severity.WARNING))
    name = _choose_largest_collection(pages)
    three, path = pages[name], f"/{name}"
    large = ask(path, {"limit": str(LARGEST), "offset": "0"})
    one = ask(path, {"limit": "1", "offset": "0"})
    behind = ask(path, {"limit": "1", "offset": str(len(large.rows) or LARGEST)})
    followed = ask.follow_next_link(three, path)
    counts = [
        habits.report_row_count(each.name, pages[each.name], each.required) for each in COLLECTIONS[account.version]
    ]
    return (
        *signing,
        habits.check_version(pages["users"], account.version),
        *counts,
        habits.check_page_clamp(large, LARGEST, account.page_size, behind),
        habits.check_limit(one, three),
        habits.check_offset(one, ask(path, {"limit": "1", "offset": "1"})),
        habits.check_page_beyond_end(ask(path, {"limit": "1", "offset": str(OFFSET_BEYOND_END)})),
        habits.check_sort(ask.ask_sorted(path, "asc"), ask.ask_sorted(path, "desc"), more=len(large.rows) > 3),
        habits.check_total(three),
        habits.check_link(three, followed),
        habits.check_filter(
            ask.ask_filtered(path, f"dateLastModified>'{FUTURE}'"),
            ask.ask_filtered(path, f"dateLastModified>'{PAST}'"),
        ),
        habits.check_tobedeleted(ask.ask_filtered(path, "status='tobedeleted'"), large),
        habits.check_envelope(pages),
        habits.check_booleans(pages["users"]),
        habits.check_timestamps(pages),
        habits.check_dates(pages),
        habits.measure_speed(large),
    )


class _ProbeClient:
    def __init__(self, asking: ApiClient, clock: Callable[[], float]) -> None:
        self._asking = asking
        self._clock = clock

    def __call__(self, path: str, query: Mapping[str, str]) -> ProbeResponse:
        return send_probe_request(lambda: self._asking.get(path, query), self._clock)

    def ask_sorted(self, path: str, order: str) -> ProbeResponse:
        return self(path, {"limit": "3", "offset": "0", "sort": "sourcedId", "orderBy": order})

    def ask_filtered(self, path: str, filter: str) -> ProbeResponse:
        return self(path, {"limit": "1", "offset": "0", "filter": filter})

    def follow_next_link(self, page: ProbeResponse, path: str) -> ProbeResponse | None:
        """Return the page that the Link header leads to, or None without one."""
        link = page.next
        if link is None:
            return None
        # RFC 8288: relative to its page; an `ApiClient` expects it relative to the base URL.
        return send_probe_request(
            lambda: self._asking.follow_link(path.lstrip("/") + link if link.startswith("?") else link), self._clock
        )


def _check_sign_in(account: ApiAccount, api_client: ApiClient, path: str) -> tuple[list[ProbeFinding], ApiClient]:
    """Return findings on the signature methods, by one request for each, and a client that uses one that works."""
    if account.authorization != "oauth1" or not isinstance(api_client, SigningApiClient):
        return [ProbeFinding("sign-in", account.authorization)], api_client
    outcomes: dict[SignatureMethod, Refusal | None] = {}
    for signature in _SIGNATURES:
        outcomes[signature] = _find_signature_refusal(api_client.copy_with_signature(signature), path)
    working = [signature for signature, refusal in outcomes.items() if refusal is None]
    if not working:
        refusal = outcomes[account.signature]
        assert refusal is not None
        raise refusal
    findings = [ProbeFinding("sign-in", account.authorization)]
    for signature in _SIGNATURES:
        ours, works = signature == account.signature, signature in working
        remark = f"set signature: {working[0]}" if ours and not works else "in use" if ours else ""
        severity = Severity.WARNING if ours and not works else Severity.INFO
        findings.append(ProbeFinding(f"signature-{signature}", "accepted" if works else "refused", remark, severity))
    return findings, api_client if account.signature in working else api_client.copy_with_signature(working[0])


def _find_signature_refusal(api_client: ApiClient, path: str) -> Refusal | None:
    """Return the refusal of the signature, or None: any other response shows that it was accepted."""
    try:
        api_client.get(path, {"limit": "1", "offset": "0"})
    except Refusal as refusal:
        codes = {diagnostic.code for diagnostic in refusal.diagnostics}
        if codes & {"unauthorized"}:
            return refusal
        if not codes <= SINGLE_REQUEST_CODES:
            raise
    return None


def _choose_largest_collection(pages: Mapping[str, ProbeResponse]) -> str:
    """Return users if there are enough for several pages, else the largest collection."""
    if len(pages["users"].rows) >= 3:
        return "users"
    return max(pages, key=lambda name: (pages[name].total or 0, len(pages[name].rows)))
