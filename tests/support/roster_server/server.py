"""Serves a OneRoster bundle over HTTP as the standard says, or with the faults of its switches."""

# Its shapes come from the standard and from what is known of real servers, never from a client: it is there to prove a
# client wrong. It keeps every request for a test to look at.

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import orjson

from tests.support.roster_server.authority import DeniedError, Signatures, Tokens
from tests.support.roster_server.endpoints import UnknownError
from tests.support.roster_server.pages import Book
from tests.support.roster_server.questions import UnanswerableError
from tests.support.roster_server.switches import Answer, Becomes, EmptyPage, Fault, Revoked, Status, Switches
from tests.support.roster_server.wire import Http, Reply
from tests.support.rosters.bundles import Bundle

BASES = {"1.1": "/ims/oneroster/v1p1", "1.2": "/ims/oneroster/rostering/v1p2"}
TOKEN_PATH = "/oauth2/token"
JSON = "application/json"


@dataclass
class Asked:
    """One request. path: below the base address (`users`), `token`, or whole where it is neither. headers: without
    Authorization, of which only the scheme is kept. status, rows: of the answer."""

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    scheme: str
    status: int | None = None
    rows: int | None = None

    @property
    def offset(self) -> int:
        return int(dict(self.query).get("offset", 0))


class RosterServer:
    """Serves while it is entered. version: of the service; a 1.1 bundle is served as 1.2 too.

    prefix: stands before /ims (Aeries /aeries, Infinite Campus /campus/api). token_query: what the token address must
    be asked with (Infinite Campus `appName=...`). tls: what the server shows; None: plain http. clock: seconds since
    1970, by which timestamps and tokens are judged.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        version: Literal["1.1", "1.2"] = "1.1",
        authorization: Literal["oauth1", "oauth2"] = "oauth1",
        switches: Switches | None = None,
        prefix: str = "",
        token_query: str = "",
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.version = version
        self.authorization = authorization
        self._token_query = token_query
        self._token_path = f"{prefix.removesuffix('/api')}{TOKEN_PATH}"
        self._base = f"{prefix}{BASES[version]}"
        self._lock = threading.Lock()
        self._counted = Counter[object]()
        self.clock = clock
        self._signatures = Signatures(clock)
        self.tokens = Tokens(version, clock)
        self.closing = threading.Event()
        self.reached = threading.Event()
        self._released = threading.Event()
        self.requests: list[Asked] = []
        self.problems: list[BaseException] = []
        self._http = Http(self, tls)
        scheme = "http" if tls is None else "https"
        self.root = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self.bundle, self.switches = bundle, switches or Switches()
        self._book = self._new_book()

    @property
    def url(self) -> str:
        """The base address, as it stands in `sync: url`."""
        return f"{self.root}{self._base}"

    @property
    def token_url(self) -> str:
        return f"{self.root}{self._token_path}{'?' if self._token_query else ''}{self._token_query}"

    def now(self, *faults: Fault, bundle: Bundle | None = None, switches: Switches | None = None) -> None:
        """From here on this roster and these switches; requests are counted, and kept, from the beginning.

        Where switches are not given they are the standard's."""
        with self._lock:
            self.bundle = bundle or self.bundle
            self.switches = (switches or Switches()).but(*faults)
            self._counted.clear()
            self.requests.clear()
            self.reached.clear()
            self._released.clear()
            self._book = self._new_book()

    def release(self) -> None:
        """Lets out what is withheld."""
        self._released.set()

    def withheld(self) -> None:
        self.reached.set()
        while not self._released.wait(0.02) and not self.closing.is_set():
            pass

    def asked(self, path: str) -> list[Asked]:
        """The requests for a path, in their order."""
        with self._lock:
            return [each for each in self.requests if each.path == path]

    def offsets(self, path: str) -> list[int]:
        return [each.offset for each in self.asked(path)]

    def __enter__(self) -> RosterServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.end()
        self._thread.join()
        if problem is None and self.problems:
            raise self.problems[0]

    def reply(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one request. target: path and query as they came."""
        parts = urlsplit(target)
        path = self._named(parts.path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        asked, fault, number, book, switches = self._take(method, path, query, headers)
        reply = self._judged(asked, target, headers, body, fault, number, book, switches)
        asked.status = reply.status
        return reply

    def _take(
        self, method: str, path: str, query: list[tuple[str, str]], headers: Mapping[str, str]
    ) -> tuple[Asked, Answer | None, int, Book, Switches]:
        """Keeps and counts the request, and finds what is to go wrong with it."""
        with self._lock:
            shown = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            scheme = headers.get("Authorization", "").partition(" ")[0]
            asked = Asked(len(self.requests) + 1, method, path, tuple(query), shown, scheme)
            self.requests.append(asked)
            offset = dict(query).get("offset", "0")
            for key in ((path, None), ("*", None), (path, offset), ("*", offset)):
                self._counted[key] += 1
            fault = next((each.answer for each in self.switches.faults if self._strikes(each, path, offset)), None)
            if isinstance(fault, Becomes):
                self.bundle = fault.bundle
                self._book = self._new_book()
            return asked, fault, self._counted[path, None], self._book, self.switches

    def _strikes(self, fault: Fault, path: str, offset: str) -> bool:
        if fault.on not in ("*", path) or (fault.offset is not None and str(fault.offset) != offset):
            return False
        count = self._counted[fault.on, None if fault.offset is None else offset]
        return fault.at <= count and (fault.times is None or count < fault.at + fault.times)

    def _judged(
        self,
        asked: Asked,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        fault: Answer | None,
        number: int,
        book: Book,
        switches: Switches,
    ) -> Reply:
        if isinstance(fault, Revoked):
            self.tokens.revoke_all()
        if isinstance(fault, Status):
            return self._status(fault, switches)
        if asked.path == "token":
            return replace(self._token(asked, headers, body, switches), fault=fault)
        try:
            self._check(asked.path, target, headers, switches)
        except DeniedError as denied:
            return self._denied(denied, switches)
        if isinstance(fault, Revoked):
            return self._denied(DeniedError(401, "the request is refused"), switches)
        if asked.method != "GET":
            return self._error(405, "unsupported", "only GET is served", switches)
        try:
            page = book.page(asked.path, list(asked.query), number, empty=isinstance(fault, EmptyPage))
        except UnanswerableError as problem:
            return self._error(400, problem.code, str(problem), switches)
        except UnknownError as problem:
            return self._error(404, "unknownobject", str(problem), switches)
        asked.rows = page.rows
        return Reply(200, {"Content-Type": JSON, **page.headers}, page.body, fault)

    def _named(self, path: str) -> str:
        if path == self._token_path:
            return "token"
        return path.removeprefix(f"{self._base}/") if path.startswith(f"{self._base}/") else path

    def _check(self, path: str, target: str, headers: Mapping[str, str], switches: Switches) -> None:
        authorization = headers.get("Authorization", "")
        if self.authorization == "oauth1":
            self._signatures.check(f"{self.root}{target}", authorization, switches)
        else:
            self.tokens.check(path, authorization, switches)

    def _token(self, asked: Asked, headers: Mapping[str, str], body: bytes, switches: Switches) -> Reply:
        if (
            self.authorization != "oauth2"
            or asked.method != "POST"
            or asked.query != tuple(parse_qsl(self._token_query))
        ):
            return self._error(404, "unknownobject", "there is no such endpoint", switches)
        status, answer = self.tokens.give(headers, body, switches)
        more = {"WWW-Authenticate": 'Basic realm="oneroster"'} if status == 401 else {}
        return Reply(status, {"Content-Type": JSON, "Cache-Control": "no-store", **more}, orjson.dumps(answer))

    def _denied(self, denied: DeniedError, switches: Switches) -> Reply:
        code = "unauthorisedrequest" if denied.status == 401 else "forbidden"
        reply = self._error(denied.status, code, str(denied), switches)
        return replace(
            reply, headers={**reply.headers, **({"WWW-Authenticate": denied.challenge} if denied.challenge else {})}
        )

    def _status(self, fault: Status, switches: Switches) -> Reply:
        known = {
            400: "invaliddata",
            401: "unauthorisedrequest",
            403: "forbidden",
            404: "unknownobject",
            429: "server_busy",
        }
        reply = self._error(fault.code, known.get(fault.code, "internal_server_error"), "not now", switches)
        if fault.html:
            page = f"<!doctype html><title>{fault.code}</title><h1>The server says {fault.code}</h1>".encode()
            reply = Reply(fault.code, {"Content-Type": "text/html; charset=utf-8"}, page)
        again = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return replace(reply, headers={**reply.headers, **again})

    def _error(self, status: int, code: str, why: str, switches: Switches) -> Reply:
        field_ = {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": code}
        answer = {
            "imsx_codeMajor": "failure",
            "imsx_severity": "error",
            "imsx_description": why,
            "imsx_CodeMinor": {"imsx_codeMinorField": [field_]} if switches.code_minor == "object" else code,
        }
        return Reply(status, {"Content-Type": JSON}, orjson.dumps(answer))

    def _new_book(self) -> Book:
        return Book(self.bundle, self.version, self.url, self.switches)
