"""Lists the departures from the standard that a roster server can be told to make."""

# Sources in brackets: EF the Ed-Fi server, MJ Masterjx9/oneroster, CL ClassLink, IC Infinite Campus, LO
# libre-oneroster, MO and TCI what shipped clients assume wrongly, YAML the official OpenAPI documents, F58 to F74 the
# list of faults that a roster sync survives.

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tests.support.rosters.bundles import Bundle


@dataclass(frozen=True)
class Status:
    """An error of the standard's form, or with `html` the page of a proxy (EF sends 429 so).

    retry_after: the header's value, seconds or a date (F64)."""

    code: int
    retry_after: str | None = None
    html: bool = False


@dataclass(frozen=True)
class EmptyPage:
    """200 and no row where there are some; the total stays as it is (F59)."""


@dataclass(frozen=True)
class CutBody:
    """Content-Length says more than comes before the connection ends (F68)."""


@dataclass(frozen=True)
class CutGzip:
    """A gzip stream that ends early, in a body that is as long as it says (F68)."""


@dataclass(frozen=True)
class GzipBomb:
    """A small gzip body of so many bytes of blanks (F68)."""

    size: int = 4 * 1024**3


@dataclass(frozen=True)
class HugeBody:
    """A body without end: JSON of so many bytes (F68)."""

    size: int = 2 * 1024**3


@dataclass(frozen=True)
class LoginPage:
    """200 and the HTML page of a log-in or of a captive portal (F67).

    type: what it calls itself; some proxies leave application/json on it."""

    type: str = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Body:
    """200 with exactly these bytes: nothing at all, garbage, a bare list."""

    content: bytes = b""
    type: str = "application/json"


@dataclass(frozen=True)
class NoContent:
    """204."""


@dataclass(frozen=True)
class Dropped:
    """The connection ends before anything is said."""


@dataclass(frozen=True)
class Revoked:
    """Every token that was given out is good no more, and the answer is 401 (F65)."""


@dataclass(frozen=True)
class Redirect:
    """To another place (F72). `{path}` stands for the path and query that were asked for."""

    to: str
    code: int = 302


@dataclass(frozen=True)
class Slow:
    """The right answer, after so many seconds; `drip` lets a byte out ten times a second instead."""

    seconds: float
    drip: bool = False


@dataclass(frozen=True)
class Withheld:
    """The right answer, when the test says `release()`; `reached` is set when it is being waited for."""


@dataclass(frozen=True)
class Becomes:
    """The right answer, from a roster that is another one from here on: rows shift between pages (F61, F62), or the
    source changes between users and enrollments (F70)."""

    bundle: Bundle


Answer = (
    Status
    | EmptyPage
    | CutBody
    | CutGzip
    | GzipBomb
    | HugeBody
    | LoginPage
    | Body
    | NoContent
    | Dropped
    | Revoked
    | Redirect
    | Slow
    | Withheld
    | Becomes
)


@dataclass(frozen=True)
class Fault:
    """on: a path below the base address, such as `users`, or `token`; `*` for any. at: at which request for it,
    counted from 1 since the server was told; with `offset` at requests for that offset instead, the at-th of them on.
    times: how often; None: from then on for ever."""

    on: str
    answer: Answer
    at: int = 1
    times: int | None = 1
    offset: int | None = None


@dataclass(frozen=True)
class Switches:
    """The default is a server as the standard has it."""

    # Paging
    clamp: int | None = None
    """At most so many rows at once, without a word (EF: 500; MO and TCI lost the rest; F60)."""
    total: Literal["X-Total-Count", "x-count"] | None = "X-Total-Count"
    """The header with the number of all rows; EF sends none, CL x-count."""
    total_off_by: int = 0
    """The total says so many rows more than there are."""
    total_grows: bool = False
    """The total is one more with every request (F61)."""
    link: Literal["absolute", "relative", "loop", "endless", "cursor"] | str | None = "absolute"
    """Link with next, last, first and prev; EF sends none. loop: the second page's next is the first (F63). endless:
    there is a next behind the last page too. cursor: links ask for no offset, but for something of the server's own.
    Other text: next leads to this address."""
    same_page: bool = False
    """offset is ignored: the first page for ever (F63)."""
    overlap: int = 0
    """Every page but the first begins so many rows earlier than asked: the same rows on two pages (F62). With cursors,
    only pages that a link asks for."""
    doubled: frozenset[str] = frozenset()
    """sourcedIds of records that are sent twice, one after the other."""
    order: Literal["given", "unless-sorted", "shuffled"] = "given"
    """Another order with every request: unless `sort` is given, or even then (F62)."""

    # What is asked
    sort: Literal["obeyed", "ignored", "refused", "after-paging"] = "obeyed"
    """refused: 400. after-paging: only the rows of a page are sorted (LO)."""
    filter: Literal["obeyed", "ignored", "refused", "nothing"] = "obeyed"
    """refused: 400. nothing: 200 and no row (MJ; F71, F74)."""

    # Form
    booleans: Literal["text", "json"] = "text"
    """The standard has "true"; servers made from YAML send true."""
    envelope: Literal["type", "path", "singular", "null", "missing", "bare"] = "type"
    """path: `students`, `teachers`, `terms` (MJ). singular: `user` for a list; null: no list under the right key;
    missing: `{}`, as CL did; bare: a list and no object (all F69)."""
    empties: Literal["omitted", "null", "blank"] = "omitted"
    """How an optional property without a value is sent."""
    code_minor: Literal["object", "text"] = "object"
    """EF sends imsx_codeMinor as a plain string."""
    href: Literal["absolute", "relative"] = "absolute"
    """EF sends relative ones."""
    numeric_ids: bool = False
    """A sourcedId of digits is sent as a number."""
    usernames: bool = True
    """1.2 does not require a username."""
    gzip: bool = False
    """Compressed for whoever takes it."""

    # Records
    tobedeleted: Literal["sent", "bare", "dropped"] = "sent"
    """EF never sends any; `bare` ones have nothing but sourcedId, status and dateLastModified."""
    per_school: bool = False
    """EF: one row for each (student, school), with another sourcedId, the same identifier and no username."""

    # Authorization
    sha256: bool = True
    """MJ answers 401 for HMAC-SHA256."""
    core_required: bool | None = None
    """403 for base collections with roster.readonly alone (MJ). None: as the version's endpoint tables have it, in 1.1
    so, in 1.2 not."""
    granted: frozenset[str] | None = None
    """Short names of the only scopes that are given out, whatever is asked for; None: all that exist."""
    token_life: int = 3600
    """Seconds for which a token is good."""
    token_credentials: Literal["either", "basic", "body"] = "either"
    """Where the token endpoint wants id and secret."""

    faults: tuple[Fault, ...] = ()

    def but(self, *faults: Fault) -> Switches:
        return replace(self, faults=(*self.faults, *faults))


def whenever(on: str, answer: Answer, at: int = 1) -> Fault:
    """The answer from the at-th request on, for ever."""
    return Fault(on, answer, at, times=None)
