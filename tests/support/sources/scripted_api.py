"""Answers the requests of the API client from rows in memory, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal, build_error
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.http.answer import ApiResponse
from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings
from reconciler.oneroster.sources.api.records.collections import RECORD_KEYS
from reconciler.oneroster.sources.api.source import ApiSource
from tests.support.rosters.bundles import Bundle

Json = dict[str, Any]
BASE = "https://sis.example/ims/oneroster/v1p1"
CHANGED = "2026-09-01T02:00:00.000Z"

#: Property and type of what a column refers to; a list where the column holds one.
REFERENCES = {
    "parentSourcedId": ("parent", "org", False),
    "orgSourcedIds": ("orgs", "org", True),
    "agentSourcedIds": ("agents", "user", True),
    "courseSourcedId": ("course", "course", False),
    "schoolSourcedId": ("school", "org", False),
    "termSourcedIds": ("terms", "academicSession", True),
    "classSourcedId": ("class", "class", False),
    "userSourcedId": ("user", "user", False),
    "orgSourcedId": ("org", "org", False),
    "primaryOrgSourcedId": ("primaryOrg", "org", False),
}
LISTS = ("grades", "subjects", "subjectCodes", "periods")


def reference(sourced_id: str, kind: str) -> Json:
    return {"href": f"{BASE}/{kind}s/{sourced_id}", "sourcedId": sourced_id, "type": kind}


def record(row: Mapping[str, str]) -> Json:
    """A CSV row as an API's record."""
    made: Json = {"status": "active", "dateLastModified": CHANGED}
    for column, value in row.items():
        if column in REFERENCES:
            name, kind, many = REFERENCES[column]
            keys = [key for key in value.split(",") if key]
            made[name] = [reference(key, kind) for key in keys] if many else reference(value, kind)
        elif column in LISTS:
            made[column] = [each for each in value.split(",") if each]
        elif column not in ("status", "dateLastModified") or value:
            made[column] = value
    return made


def records(made: Bundle) -> dict[str, list[Json]]:
    """Every collection of a bundle; in 1.2 roles inside their users."""
    every = {table: [record(row) for row in rows] for table, rows in made.tables.items()}
    for table in ("academicSessions", "courses"):
        every.setdefault(table, [])
    roles = made.tables.get("roles", ())
    every.pop("roles", None)
    for person in every["users"] if roles else ():
        theirs = [row for row in roles if row["userSourcedId"] == person["sourcedId"]]
        person["roles"] = [
            {name: row[name] for name in ("roleType", "role", "beginDate", "endDate") if row.get(name)}
            | {"org": reference(row["orgSourcedId"], "org")}
            for row in theirs
        ]
    return every


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class ScriptedApi:
    """rows: by collection, in the server's own order. clamp: most rows at once. total, links: whether it gives them.
    filters: whether it knows them. before: called before each answer, with the number of
    the request from 1, and may change everything. asked: path and query of every request."""

    rows: dict[str, list[Json]]
    clamp: int = 10_000
    total: bool = True
    links: bool = False
    sorts: bool = True
    filters: bool = True
    before: Callable[[ScriptedApi, int], object] = lambda api, number: None
    envelope: Callable[[str, list[Json]], object] = lambda name, rows: {name: rows}
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
        self.asked.append((path, dict(query)))
        self.before(self, len(self.asked))
        name, _, key = path.strip("/").partition("/")
        if name not in self.rows:
            raise refusal("not-found")
        rows = self.rows[name]
        if key:
            found = [row for row in rows if row["sourcedId"] == unquote(key)]
            if not found:
                raise refusal("not-found")
            return answer({RECORD_KEYS[name][0]: found[0]}, path)
        if "filter" in query:
            rows = self._filtered(rows, query["filter"])
        if "sort" in query and self.sorts:
            rows = sorted(rows, key=lambda row: str(row["sourcedId"]))
        offset, limit = int(query["offset"]), min(int(query["limit"]), self.clamp)
        page = rows[offset : offset + limit]
        headers = {"x-total-count": str(len(rows))} if self.total else {}
        if self.links and offset + limit < len(rows):
            follow = f"{BASE}{path}?limit={query['limit']}&offset={offset + limit}"
            headers["link"] = f'<{follow}>; rel="next", <{BASE}{path}>; rel="first"'
        return answer(self.envelope(name, page), f"{path}?offset={offset}", headers)

    def follow_link(self, link: str) -> ApiResponse:
        parts = urlsplit(link)
        return self.get(f"/{parts.path.rpartition('/')[2]}", dict(parse_qsl(parts.query)))

    def _filtered(self, rows: Sequence[Json], wanted: str) -> list[Json]:
        since = wanted.partition(">=")[2].strip("'")
        return [row for row in rows if not self.filters or row["dateLastModified"] >= since]

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def answer(body: object, address: str, headers: Mapping[str, str] | None = None) -> ApiResponse:
    return ApiResponse(body if isinstance(body, bytes) else orjson.dumps(body), headers or {}, address)


def refusal(code: str) -> Refusal:
    return Refusal([build_error(code, f"scripted: {code}")])


ACCOUNT = ApiAccount(BASE, "1.1", "oauth1", "key", SecretStr("secret"), page_size=30)


def source(api: ScriptedApi, kept: CheckpointSettings | None = None, **account: Any) -> ApiSource:
    """account: fields of it other than `ACCOUNT`'s."""

    @contextmanager
    def client() -> Iterator[ScriptedApi]:
        yield api

    return ApiSource(replace(ACCOUNT, **account), HostThrottle(), lambda _: False, kept, client=client)
