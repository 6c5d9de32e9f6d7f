"""What one response comes to: an answer, another address to ask, or a refusal."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import location_of
from reconciler.oneroster.sources.api import body, retrying, status_info
from reconciler.oneroster.sources.api.answer import Answer
from reconciler.oneroster.sources.api.authorization import Authorization
from reconciler.oneroster.sources.api.content import is_json, kind_of
from reconciler.oneroster.sources.api.diagnosis import refused
from reconciler.oneroster.sources.api.location import ElsewhereError, is_single, redirected, shown
from reconciler.oneroster.sources.api.retrying import Again, Cause, retry_after

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
            return body.unpacked(self._response.iter_raw(), encoding, LARGEST, self._heartbeat)
        except body.TooLargeError as problem:
            raise self._refused("answer-too-large", why=f"{LARGEST // 2**20} MiB") from problem
        except body.UnknownEncodingError as problem:
            raise self._refused("unknown-encoding", why=status_info.text(encoding)) from problem
        except body.CutError as problem:
            raise self._again("broken-json", retrying.BROKEN) from problem

    def _body_of_error(self) -> bytes:
        """Nothing of it is needed: whatever is wrong with it, the status says enough."""
        encoding = self._response.headers.get("content-encoding", "")
        try:
            return body.unpacked(self._response.iter_raw(), encoding, LARGEST_ERROR, self._heartbeat)
        except (body.TooLargeError, body.CutError, body.UnknownEncodingError, httpx.TransportError):
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
