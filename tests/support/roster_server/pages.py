"""Answers a question to a collection with rows, order, envelope and headers."""

# Everything that a server does to its answers other than the standard (`switches`) is done here, on the right answer;
# faults of single requests are not.

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlencode

import orjson

from tests.support.roster_server.endpoints import Place, Places
from tests.support.roster_server.questions import Question, UnanswerableError, chosen, matching, ordered, question
from tests.support.roster_server.records import BOOLEANS, HOMES, Record, properties, records_of
from tests.support.roster_server.switches import Switches
from tests.support.rosters.bundles import Bundle, Row

#: What is left of a record that was deleted.
BARE = ("sourcedId", "status", "dateLastModified")


@dataclass(frozen=True)
class Page:
    """body: JSON. rows: how many records are in it."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0


class Book:
    """A bundle as one server serves it. base: the address before the collections, without a slash at its end."""

    def __init__(self, bundle: Bundle, version: str, base: str, switches: Switches) -> None:
        self._version = version
        self._base = base
        self._switches = switches
        records = records_of(per_school(bundle) if switches.per_school else bundle, version)
        if switches.tobedeleted == "dropped":
            records = {type_: [r for r in rows if r["status"] != "tobedeleted"] for type_, rows in records.items()}
        if switches.tobedeleted == "bare":
            records = {
                type_: [{name: r[name] for name in BARE} if r["status"] == "tobedeleted" else r for r in rows]
                for type_, rows in records.items()
            }
        self.places = Places(records)
        self._sent: dict[int, bytes] = {}
        self._sorted: dict[tuple[str, str | None, str | None, bool], list[Record]] = {}

    def page(self, path: str, query: list[tuple[str, str]], number: int, *, empty: bool = False) -> Page:
        """The answer to the number-th request for a path. empty: as if there were no rows just there.

        Raises UnknownError or UnanswerableError."""
        place = self.places.at([unquote(part) for part in path.split("/")])
        if place.single:
            record = place.records[0]
            return Page(b'{"%s":%s}' % (place.type.encode(), self._one(place.type, record)), rows=1)
        asked = question(query)
        if self._switches.clamp is not None:
            asked = replace(asked, limit=min(asked.limit, self._switches.clamp))
        if asked.sort and self._switches.sort == "refused":
            raise UnanswerableError("invalid_sort_field", "sort is not supported")
        if asked.filter and self._switches.filter == "refused":
            raise UnanswerableError("invalid_filter_field", "filter is not supported")
        rows = self._rows(path, place, asked, number)
        page = [] if empty else self._cut(rows, asked, place)
        known = properties(place.type, self._version)
        # A field that does not exist is an error of a page without rows, too.
        chosen({}, asked.fields, known)
        parts = [self._one(place.type, record, asked.fields) for record in page]
        return Page(self._enveloped(place, parts), self._headers(path, query, asked, len(rows), number), len(page))

    def _rows(self, path: str, place: Place, asked: Question, number: int) -> list[Record]:
        key = (path, asked.filter, asked.sort, asked.descending)
        if key not in self._sorted:
            self._sorted[key] = self._sorted_rows(place, asked)
        rows = self._sorted[key]
        if self._switches.order == "shuffled" or (self._switches.order == "unless-sorted" and not asked.sort):
            rows = random.Random(number).sample(rows, len(rows))
        if self._switches.doubled:
            rows = [row for row in rows for _ in range(2 if row["sourcedId"] in self._switches.doubled else 1)]
        return rows

    def _sorted_rows(self, place: Place, asked: Question) -> list[Record]:
        known = properties(place.type, self._version)
        rows = place.records
        if asked.filter:
            found = matching(rows, asked.filter, known)
            rows = {"ignored": rows, "nothing": []}.get(self._switches.filter, found)
        if asked.sort and self._switches.sort == "obeyed":
            rows = ordered(rows, asked.sort, known, descending=asked.descending)
        return rows

    def _cut(self, rows: list[Record], asked: Question, place: Place) -> list[Record]:
        overlap = self._switches.overlap if asked.by_cursor or self._switches.link != "cursor" else 0
        offset = 0 if self._switches.same_page else max(asked.offset - overlap, 0)
        page = rows[offset : offset + asked.limit]
        if asked.sort and self._switches.sort == "after-paging":
            known = properties(place.type, self._version)
            page = ordered(page, asked.sort, known, descending=asked.descending)
        return page

    def _enveloped(self, place: Place, parts: list[bytes]) -> bytes:
        rows = b"[" + b",".join(parts) + b"]"
        key = HOMES[place.type]
        match self._switches.envelope:
            case "path":
                key = place.collection
            case "singular":
                key = place.type
            case "null":
                rows = b"null"
            case "missing":
                return b"{}"
            case "bare":
                return rows
        return b'{"%s":%s}' % (key.encode(), rows)

    def _one(self, type_: str, record: Record, fields: tuple[str, ...] = ()) -> bytes:
        if fields:
            return orjson.dumps(self._bent(chosen(record, fields, properties(type_, self._version))))
        # By the record itself: two rows of one sourcedId may differ.
        if id(record) not in self._sent:
            self._sent[id(record)] = orjson.dumps(self._bent(record))
        return self._sent[id(record)]

    def _bent(self, value: Any, name: str = "") -> Any:
        """The value as this server writes it."""
        switches = self._switches
        if isinstance(value, dict):
            return {
                key: self._bent(each, key)
                for key, each in value.items()
                if (each is not None or switches.empties != "omitted") and (switches.usernames or key != "username")
            }
        if isinstance(value, list):
            return [self._bent(each, name) for each in value]
        if value is None:
            return None if switches.empties == "null" else ""
        if name == "href" and switches.href == "absolute":
            return f"{self._base}/{value}"
        if name == "sourcedId" and switches.numeric_ids and str(value).isdigit() and value[0] != "0":
            return int(value)
        if name in BOOLEANS and switches.booleans == "json":
            return value == "true"
        return value

    def _headers(
        self, path: str, query: list[tuple[str, str]], asked: Question, rows: int, number: int
    ) -> dict[str, str]:
        headers: dict[str, str] = {}
        total = rows + self._switches.total_off_by + (number if self._switches.total_grows else 0)
        if self._switches.total is not None:
            headers[self._switches.total] = str(total)
        if self._switches.link is not None:
            headers["Link"] = self._link(path, query, asked, rows)
        return headers

    def _link(self, path: str, query: list[tuple[str, str]], asked: Question, rows: int) -> str:
        """RFC 8288: next, last, first, prev, each where there is one."""
        limit, offset, link = asked.limit, asked.offset, self._switches.link
        last = max((rows - 1) // limit, 0) * limit
        places = {"next": offset + limit, "last": last, "first": 0, "prev": max(offset - limit, 0)}
        if offset + limit >= rows and link not in ("endless", "loop"):
            del places["next"]
        if link == "loop" and offset:
            places["next"] = 0
        if offset == 0:
            del places["prev"]
        base = "/" + self._base.split("/", 3)[3] if link == "relative" else self._base
        kept = [(name, value) for name, value in query if name not in ("limit", "offset", "cursor")]
        place = "cursor" if link == "cursor" else "offset"
        shown = []
        for relation, at in places.items():
            address = f"{base}/{path}?{urlencode([*kept, ('limit', limit), (place, at)])}"
            if relation == "next" and link not in ("absolute", "relative", "loop", "endless", "cursor"):
                address = str(link)
            shown.append(f'<{address}>; rel="{relation}"')
        return ", ".join(shown)


def per_school(bundle: Bundle) -> Bundle:
    """As the Ed-Fi server has it: a student is one row for each school, of a sourcedId that hashes both, without a
    username; enrollments and roles name the row of their school."""
    if bundle.version != "1.1":
        raise ValueError("a 1.1 bundle, please; it is served as 1.2 too")
    users: list[Row] = []
    students = frozenset(bundle.students())
    for row in bundle.tables["users"]:
        if row["sourcedId"] not in students:
            users.append(row)
            continue
        for school in row["orgSourcedIds"].split(","):
            key = _hashed(row["sourcedId"], school)
            users.append({**row, "sourcedId": key, "orgSourcedIds": school, "username": ""})
    enrollments = [
        {**row, "userSourcedId": _hashed(row["userSourcedId"], row["schoolSourcedId"])}
        if row["userSourcedId"] in students
        else row
        for row in bundle.tables["enrollments"]
    ]
    return bundle.with_rows("users", users).with_rows("enrollments", enrollments)


def _hashed(*parts: str) -> str:
    return hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()
