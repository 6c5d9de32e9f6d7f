"""What one response comes to: an answer, another address to ask, or a refusal."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable

import httpx
import orjson

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import location_of
from reconciler.oneroster.sources.api.auth.base import Authorization
from reconciler.oneroster.sources.api.http import errors as status_info
from reconciler.oneroster.sources.api.http import retry as retrying
from reconciler.oneroster.sources.api.http.answer import Answer
from reconciler.oneroster.sources.api.http.errors import refused
from reconciler.oneroster.sources.api.http.retry import Again, Cause, retry_after
from reconciler.oneroster.sources.api.http.urls import ElsewhereError, is_single, redirected, shown

# The body of an answer, unpacked while it comes and never beyond its bound: a small packed one may be a large one.


#: What is asked for. deflate is taken too, where a server sends it all the same.
ACCEPTED = "gzip"
_PACKED = {"gzip", "x-gzip", "deflate"}
_PLAIN = {"", "identity"}


class TooLargeError(Exception):
    """It is larger than the bound. Nothing beyond it was unpacked."""


class CutError(Exception):
    """It is packed and ends early, or cannot be unpacked."""


class UnknownEncodingError(Exception):
    """It is packed in a way that cannot be unpacked here."""


def unpacked(
    parts: Iterable[bytes], encoding: str, largest: int, heartbeat: Callable[[], object] = lambda: None
) -> bytes:
    """The whole body. encoding: of the header Content-Encoding. largest: bytes, unpacked. heartbeat: called
    at each part; what it raises ends it.

    Raises CutError, TooLargeError and UnknownEncodingError."""
    encoding = encoding.strip().lower()
    if encoding in _PLAIN:
        return _plain_of_body(parts, largest, heartbeat)
    if encoding not in _PACKED:
        raise UnknownEncodingError(encoding)
    return _packed(parts, largest, heartbeat)


def _plain_of_body(parts: Iterable[bytes], largest: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    for part in parts:
        heartbeat()
        if len(body) + len(part) > largest:
            raise TooLargeError
        body += part
    return bytes(body)


def _packed(parts: Iterable[bytes], largest: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    unpacking = _inflater()
    started = False
    try:
        for part in parts:
            heartbeat()
            while part:
                if unpacking.eof:
                    # gzip may consist of several members, one behind the other.
                    unpacking = _inflater()
                started = True
                body += unpacking.decompress(part, largest + 1 - len(body))
                if len(body) > largest:
                    raise TooLargeError
                part = unpacking.unconsumed_tail or unpacking.unused_data
    except zlib.error as problem:
        raise CutError from problem
    if started and not unpacking.eof:
        raise CutError
    return bytes(body)


def _inflater() -> zlib._Decompress:
    """Knows gzip and zlib by their first bytes."""
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


# Whether a body is JSON, and what it is if not, in words.

_MARKUP = re.compile(rb"<(!doctype\s+html|html|head|body|title|form|script)\b", re.IGNORECASE)
_BRACKETS = ((b"{", b"}"), (b"[", b"]"))
#: How a page ends, and one record: in two brackets. Most bodies that are cut do not.
_TAIL = re.compile(rb"[\]}]\s*}\s*\Z")
_TAIL_LENGTH = 256
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


def is_json(body: bytes) -> bool:
    """Told by its ends, or by its brackets where they are in order, which costs next to nothing: whoever reads it finds
    out about the rest. Where they are not, which may come of a bracket within a text, all of it is read."""
    if body.lstrip()[:1] == b"{" and _TAIL.search(body[-_TAIL_LENGTH:]):
        return True
    ends = body.strip()
    if ends[:1] + ends[-1:] in (b"{}", b"[]") and all(body.count(a) == body.count(b) for a, b in _BRACKETS):
        return True
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def kind_of(content_type: str, body: bytes) -> str:
    """Such as `an HTML page`. Nothing of the body is repeated."""
    start = body[:2048].lstrip()
    if not start:
        return "nothing at all"
    if _MARKUP.search(start):
        return "an HTML page"
    if start.startswith(b"<"):
        return "XML"
    known = _TYPE.match(content_type)
    if known and "json" not in known[0]:
        return "an HTML page" if "html" in known[0] else f"something of type {known[0][:60]}"
    return "something that cannot be read"


#: Bytes of one page, unpacked; ten thousand users take about six million.
LARGEST = 64 * 1024 * 1024
#: Bytes of an answer that is an error.
LARGEST_ERROR = 64 * 1024

_REDIRECTS = {301, 302, 303, 307, 308}
_CODES = {400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 422: "bad-request"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Reception:
    """Of a response whose body has not been read. path: of the request, for messages. wall: seconds since 1970.
    heartbeat: called while the body comes; what it raises ends it."""

    def __init__(
        self,
        response: httpx.Response,
        authorization: Authorization,
        path: str,
        wall: Callable[[], float],
        heartbeat: Callable[[], object],
    ) -> None:
        self._response = response
        self._authorization = authorization
        self._host = response.request.url.host
        self._path = path
        self._wall = wall
        self._heartbeat = heartbeat

    def outcome(self) -> Answer | httpx.URL:
        """Raises Refusal, or Again where another attempt may bring an answer."""
        status = self._response.status_code
        if status in _REDIRECTS:
            return self._next()
        if status == 200:
            return self._answer(self._body())
        if status == 204:
            raise self._refused("empty-answer")
        # Of a single record a server may say whose it is.
        said = "" if is_single(self._path) else status_info.said(self._body_of_error(), self._authorization.secrets())
        cause = retrying.of_status(status)
        if cause is not None:
            raise self._again("server-busy" if cause is retrying.BUSY else "server-error", cause, said)
        more = ""
        if status == 401:
            more = self._authorization.of_unauthorized(self._response)
        elif status == 403 and self._authorization.withheld:
            more = f"our token was granted without the scope {' and '.join(self._authorization.withheld)}"
        raise self._refused(_CODES.get(status, "unexpected-status"), said=said, more=more)

    def _next(self) -> httpx.URL:
        try:
            return redirected(self._response.request.url, location_of(self._response))
        except ElsewhereError as problem:
            raise self._refused("redirect-refused", why=str(problem)) from problem

    def _answer(self, content: bytes) -> Answer:
        content = content.removeprefix(_BYTE_ORDER_MARK)
        if not content.strip():
            raise self._refused("empty-answer")
        if not is_json(content):
            if content.lstrip()[:1] in (b"{", b"["):
                raise self._again("broken-json", retrying.BROKEN)
            kind = kind_of(self._response.headers.get("content-type", ""), content)
            raise self._refused("not-json", why=kind)
        return Answer(content, _plain(self._response.headers), shown(self._response.request.url))

    def _body(self) -> bytes:
        encoding = self._response.headers.get("content-encoding", "")
        try:
            return unpacked(self._response.iter_raw(), encoding, LARGEST, self._heartbeat)
        except TooLargeError as problem:
            raise self._refused("answer-too-large", why=f"{LARGEST // 2**20} MiB") from problem
        except UnknownEncodingError as problem:
            raise self._refused("unknown-encoding", why=status_info.text(encoding)) from problem
        except CutError as problem:
            raise self._again("broken-json", retrying.BROKEN) from problem

    def _body_of_error(self) -> bytes:
        """Nothing of it is needed: whatever is wrong with it, the status says enough."""
        encoding = self._response.headers.get("content-encoding", "")
        try:
            return unpacked(self._response.iter_raw(), encoding, LARGEST_ERROR, self._heartbeat)
        except (TooLargeError, CutError, UnknownEncodingError, httpx.TransportError):
            return b""

    def _again(self, code: str, cause: Cause, said: str = "") -> Again:
        headers = self._response.headers
        wait = retry_after(headers.get("retry-after"), self._wall(), headers.get("date"))
        return Again(self._refused(code, said=said), cause, wait, self._response.status_code, said)

    def _refused(self, code: str, *, said: str = "", why: str = "", more: str = "") -> Refusal:
        status = self._response.status_code
        return refused(code, self._host, self._path, status=status, said=said, why=why, more=more)


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Names in lower case; several of one name are joined by commas, as RFC 9110 has it."""
    return dict(headers.items())
