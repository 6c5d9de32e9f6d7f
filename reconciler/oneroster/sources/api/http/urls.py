"""Resolves paths, links and redirects; never leaves the API's own scheme, host and port."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlencode

import httpx

#: The parameters of OneRoster (1.1, 3.4; 1.2, REST binding): the only ones whose values a message repeats.
PARAMETERS = frozenset({"limit", "offset", "sort", "orderBy", "filter", "fields"})

#: Replaces the name of a single record.
SINGLE_RECORD_MARK = "/…"

_DEFAULT_PORTS = {"http": 80, "https": 443}


class OutsideBaseError(Exception):
    """A URL leads outside the API. str() says where, without the path."""


def build_url(base: httpx.URL, path: str, query: Mapping[str, str]) -> httpx.URL:
    """Return the URL of a path below the base address. The path starts with a slash; the base's own query stays."""
    pairs = [*_parse_query(base), *query.items()]
    return base.copy_with(raw_path=_encode_path(base.raw_path.partition(b"?")[0].decode().rstrip("/") + path, pairs))


def resolve_link(base: httpx.URL, link: str) -> httpx.URL:
    """Return the target of a link. Raises OutsideBaseError.

    http counts as https if the base URL has https: many servers behind a proxy do not know their public scheme.
    """
    target = _join_url(base.copy_with(raw_path=base.raw_path.partition(b"?")[0].rstrip(b"/") + b"/"), link)
    if (base.scheme, target.scheme) == ("https", "http") and target.port in (None, 80, _get_port(base)):
        target = target.copy_with(scheme="https", port=base.port)
    return _confine_to_base(base, target)


def resolve_redirect(request_url: httpx.URL, location: str) -> httpx.URL:
    """Return the target of a redirect. Raises OutsideBaseError."""
    return _confine_to_base(request_url, _join_url(request_url, location))


def redact_url(url: httpx.URL, base: httpx.URL | None = None) -> str:
    """Return path and query for messages, without values of parameters unknown to OneRoster, which may be secrets.

    base: left out of the path. Below it, a single record is not named, because its sourcedId may be a student number.
    """
    path = url.path
    if base is not None and path.startswith(base.path.rstrip("/") + "/"):
        collection, slash, record = path.removeprefix(base.path.rstrip("/") + "/").partition("/")
        path = f"/{collection}{slash and record and SINGLE_RECORD_MARK}"
    query = "&".join(f"{name}={value if name in PARAMETERS else '…'}" for name, value in _parse_query(url))
    return "".join(sign for sign in (f"{path}?{query}" if query else path) if sign.isprintable())


def is_single_record(path: str) -> bool:
    """Return whether a path from `redact_url` names a single record."""
    return path.endswith(SINGLE_RECORD_MARK)


def _join_url(base: httpx.URL, target: str) -> httpx.URL:
    unreadable = "to an unreadable address"
    if not target.strip():
        raise OutsideBaseError(unreadable)
    try:
        return base.join(target.strip())
    except (httpx.InvalidURL, ValueError) as problem:
        raise OutsideBaseError(unreadable) from problem


def _confine_to_base(base: httpx.URL, target: httpx.URL) -> httpx.URL:
    """Return the target, encoded again so that every reader decodes it alike (RFC 5849 signs the decoded text)."""
    if target.host.lower() != base.host.lower():
        raise OutsideBaseError(f"to another host, {target.host or 'without a name'}")
    if target.scheme != base.scheme:
        raise OutsideBaseError(f"from {base.scheme} to {target.scheme}")
    if _get_port(target) != _get_port(base):
        raise OutsideBaseError(f"to another port, {_get_port(target)}")
    return base.copy_with(
        raw_path=_encode_path(target.raw_path.partition(b"?")[0].decode(), _parse_query(target)), fragment=None
    )


def _get_port(url: httpx.URL) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)


def _parse_query(url: httpx.URL) -> list[tuple[str, str]]:
    return parse_qsl(url.query.decode("ascii", "replace"), keep_blank_values=True)


def _encode_path(path: str, pairs: Iterable[tuple[str, str]]) -> bytes:
    query = urlencode(list(pairs), quote_via=quote, safe="")
    return (f"{path}?{query}" if query else path).encode("ascii")
