"""Turns one HTTP response into a valid response, a redirect or a refusal."""

import re
import zlib
from collections.abc import Callable, Iterable

import httpx
import orjson

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import get_location
from reconciler.oneroster.sources.api.http import errors as status_info
from reconciler.oneroster.sources.api.http import retry as retrying
from reconciler.oneroster.sources.api.http.answer import ApiResponse
from reconciler.oneroster.sources.api.http.authorization import Authorization
from reconciler.oneroster.sources.api.http.errors import make_refusal
from reconciler.oneroster.sources.api.http.retry import Retryable, RetryPolicy, parse_retry_after
from reconciler.oneroster.sources.api.http.urls import OutsideBaseError, is_single_record, redact_url, resolve_redirect

# The body is unpacked while it arrives, and never beyond its limit: a small packed body may unpack to a huge one.


#: The requested encoding. deflate is accepted too, because some servers send it anyway.
ACCEPT_ENCODING = "gzip"
_COMPRESSED_ENCODINGS = {"gzip", "x-gzip", "deflate"}
_PLAIN_ENCODINGS = {"", "identity"}


class BodyTooLargeError(Exception):
    """The body is larger than the limit. Nothing beyond the limit was unpacked."""


class TruncatedBodyError(Exception):
    """The packed body ends early, or cannot be unpacked."""


class UnknownEncodingError(Exception):
    """The body is packed in an unsupported way."""


def unpack_body(
    parts: Iterable[bytes], encoding: str, max_bytes: int, heartbeat: Callable[[], object] = lambda: None
) -> bytes:
    """Return the whole body, unpacked.

    encoding: of the header Content-Encoding. max_bytes: of the unpacked body. heartbeat: called for each part; its
    exception ends the reading.

    Raises TruncatedBodyError, BodyTooLargeError and UnknownEncodingError.
    """
    encoding = encoding.strip().lower()
    if encoding in _PLAIN_ENCODINGS:
        return _read_plain_body(parts, max_bytes, heartbeat)
    if encoding not in _COMPRESSED_ENCODINGS:
        raise UnknownEncodingError(encoding)
    return _unpack_compressed_body(parts, max_bytes, heartbeat)


def _read_plain_body(parts: Iterable[bytes], max_bytes: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    for part in parts:
        heartbeat()
        if len(body) + len(part) > max_bytes:
            raise BodyTooLargeError
        body += part
    return bytes(body)


def _unpack_compressed_body(parts: Iterable[bytes], max_bytes: int, heartbeat: Callable[[], object]) -> bytes:
    body = bytearray()
    unpacking = _create_decompressor()
    started = False
    try:
        for part in parts:
            heartbeat()
            while part:
                if unpacking.eof:
                    # gzip data may consist of several members in sequence.
                    unpacking = _create_decompressor()
                started = True
                body += unpacking.decompress(part, max_bytes + 1 - len(body))
                if len(body) > max_bytes:
                    raise BodyTooLargeError
                part = unpacking.unconsumed_tail or unpacking.unused_data
    except zlib.error as problem:
        raise TruncatedBodyError from problem
    if started and not unpacking.eof:
        raise TruncatedBodyError
    return bytes(body)


def _create_decompressor() -> "zlib._Decompress":
    """Return a decompressor that detects gzip and zlib by their first bytes."""
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


# Detection of JSON, and a description of other bodies.

_MARKUP = re.compile(rb"<(!doctype\s+html|html|head|body|title|form|script)\b", re.IGNORECASE)
_BRACKETS = ((b"{", b"}"), (b"[", b"]"))
#: The end of a page or of a single record: two brackets. Most truncated bodies end differently.
_TAIL = re.compile(rb"[\]}]\s*}\s*\Z")
_TAIL_LENGTH = 256
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


def is_json(body: bytes) -> bool:
    """Return whether a body is JSON, by its ends and brackets, which is cheap; its parser detects other errors.

    The body is parsed only if its brackets do not balance, for example because of a bracket inside a string.
    """
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


def describe_body(content_type: str, body: bytes) -> str:
    """Return a description such as `an HTML page`, which repeats nothing of the body."""
    start = body[:2048].lstrip()
    if not start:
        return "an empty body"
    if _MARKUP.search(start):
        return "an HTML page"
    if start.startswith(b"<"):
        return "XML"
    known = _TYPE.match(content_type)
    if known and "json" not in known[0]:
        return "an HTML page" if "html" in known[0] else f"content of type {known[0][:60]}"
    return "unreadable content"


#: Maximum bytes of one page, unpacked; ten thousand users take about six million.
MAX_PAGE_BYTES = 64 * 1024 * 1024
#: Maximum bytes of an error response.
MAX_ERROR_BYTES = 64 * 1024

_REDIRECTS = {301, 302, 303, 307, 308}
_CODES = {400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 422: "bad-request"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ResponseReader:
    """Reads a response whose body has not been read yet.

    path: of the request, for messages. wall: seconds since 1970. heartbeat: called while the body arrives; its
    exception ends the reading.
    """

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

    def read_outcome(self) -> ApiResponse | httpx.URL:
        """Return the response or the target of a redirect. Raises Refusal, or Retryable if a retry may succeed."""
        status = self._response.status_code
        if status in _REDIRECTS:
            return self._resolve_redirect()
        if status == 200:
            return self._build_api_response(self._read_body())
        if status == 204:
            raise self._make_response_refusal("empty-answer")
        # A server's message about a single record may name the person.
        said = (
            ""
            if is_single_record(self._path)
            else status_info.format_status_info(self._read_error_body(), self._authorization.list_secrets())
        )
        cause = retrying.get_retry_policy(status)
        if cause is not None:
            raise self._make_retryable("server-busy" if cause is retrying.BUSY else "server-error", cause, said)
        more = ""
        if status == 401:
            more = self._authorization.explain_unauthorized(self._response)
        elif status == 403 and self._authorization.missing_scopes:
            more = f"The token was granted without the scope {' and '.join(self._authorization.missing_scopes)}."
        raise self._make_response_refusal(_CODES.get(status, "unexpected-status"), server_message=said, extra_hint=more)

    def _resolve_redirect(self) -> httpx.URL:
        try:
            return resolve_redirect(self._response.request.url, get_location(self._response))
        except OutsideBaseError as problem:
            raise self._make_response_refusal("redirect-refused", why=str(problem)) from problem

    def _build_api_response(self, content: bytes) -> ApiResponse:
        content = content.removeprefix(_BYTE_ORDER_MARK)
        if not content.strip():
            raise self._make_response_refusal("empty-answer")
        if not is_json(content):
            if content.lstrip()[:1] in (b"{", b"["):
                raise self._make_retryable("broken-json", retrying.BROKEN)
            kind = describe_body(self._response.headers.get("content-type", ""), content)
            raise self._make_response_refusal("not-json", why=kind)
        return ApiResponse(content, _normalize_headers(self._response.headers), redact_url(self._response.request.url))

    def _read_body(self) -> bytes:
        encoding = self._response.headers.get("content-encoding", "")
        try:
            return unpack_body(self._response.iter_raw(), encoding, MAX_PAGE_BYTES, self._heartbeat)
        except BodyTooLargeError as problem:
            raise self._make_response_refusal("answer-too-large", why=f"{MAX_PAGE_BYTES // 2**20} MiB") from problem
        except UnknownEncodingError as problem:
            raise self._make_response_refusal("unknown-encoding", why=status_info.sanitize_text(encoding)) from problem
        except TruncatedBodyError as problem:
            raise self._make_retryable("broken-json", retrying.BROKEN) from problem

    def _read_error_body(self) -> bytes:
        """Return the body, or nothing if it cannot be read: the status suffices."""
        encoding = self._response.headers.get("content-encoding", "")
        try:
            return unpack_body(self._response.iter_raw(), encoding, MAX_ERROR_BYTES, self._heartbeat)
        except (BodyTooLargeError, TruncatedBodyError, UnknownEncodingError, httpx.TransportError):
            return b""

    def _make_retryable(self, code: str, cause: RetryPolicy, server_message: str = "") -> Retryable:
        headers = self._response.headers
        wait = parse_retry_after(headers.get("retry-after"), self._wall(), headers.get("date"))
        return Retryable(
            self._make_response_refusal(code, server_message=server_message),
            cause,
            wait,
            self._response.status_code,
            server_message,
        )

    def _make_response_refusal(
        self, code: str, *, server_message: str = "", why: str = "", extra_hint: str = ""
    ) -> Refusal:
        status = self._response.status_code
        return make_refusal(
            code, self._host, self._path, status=status, server_message=server_message, why=why, extra_hint=extra_hint
        )


def _normalize_headers(headers: httpx.Headers) -> dict[str, str]:
    """Return headers by lowercase name; repeated ones are joined by commas (RFC 9110)."""
    return dict(headers.items())
