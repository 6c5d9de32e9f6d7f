"""A small OneRoster 1.1 API on this machine, for the demo: one district, one consumer key, OAuth 1.0a.

The rows are the bundle's; their JSON is as OneRoster 1.1 (REST) has it. Nothing of `reconciler` is used, so that one
can be wrong alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

from demo.bundle import Row
from demo.district import District
from demo.tables import build_rows

BASE = "/ims/oneroster/v1p1"
MODIFIED = "2026-08-24T00:00:00.000Z"
MOST_AT_ONCE = 100

Record = dict[str, Any]


@contextmanager
def serve_api(district: District, consumer_key: str, secret: str) -> Iterator[str]:
    """Serves it on a free port of this machine as long as the context lasts; gives the base address."""
    records = {name: [RECORD_BUILDERS[name](row) for row in of_file] for name, of_file in build_rows(district).items()}
    endpoint = SignatureOnlyEndpoint(_ConsumerValidator(consumer_key, secret))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host, port = self.server.server_address[:2]
            address = f"http://{host}:{port}{self.path}"
            given = {"Authorization": self.headers.get("Authorization", "")}
            signed = (
                given["Authorization"].startswith("OAuth ")
                and endpoint.validate_request(address, "GET", headers=given)[0]
            )
            if not signed:
                self._answer(401, _build_error("unauthorisedrequest", "the signature does not fit"))
                return
            parts = urlsplit(self.path)
            collection = parts.path.removeprefix(f"{BASE}/")
            if collection not in records:
                self._answer(404, _build_error("unknownobject", "there is no such collection"))
                return
            self._answer(200, *_build_page(collection, records[collection], dict(parse_qsl(parts.query))))

        def _answer(self, status: int, body: Record, total: int | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if total is not None:
                self.send_header("X-Total-Count", str(total))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody wants to read it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{BASE}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _build_page(collection: str, records: list[Record], query: Mapping[str, str]) -> tuple[Record, int]:
    ordered = sorted(records, key=lambda record: str(record.get(query.get("sort", "sourcedId"), "")))
    if query.get("orderBy") == "desc":
        ordered.reverse()
    start, limit = int(query.get("offset", 0)), min(int(query.get("limit", MOST_AT_ONCE)), MOST_AT_ONCE)
    return {collection: ordered[start : start + limit]}, len(records)


def _build_error(minor: str, description: str) -> Record:
    return {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": description,
        "imsx_CodeMinor": {
            "imsx_codeMinorField": [{"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": minor}]
        },
    }


class _ConsumerValidator(RequestValidator):  # type: ignore[misc]
    """Knows one key. Nonces are not remembered: it is a demo's server."""

    def __init__(self, key: str, secret: str) -> None:
        super().__init__()
        self._key, self._secret = key, secret

    @property
    def enforce_ssl(self) -> bool:
        return False

    @property
    def dummy_client(self) -> str:
        return "nobody"

    def check_client_key(self, client_key: str) -> bool:
        return bool(client_key)

    def check_nonce(self, nonce: str) -> bool:
        return bool(nonce)

    def validate_client_key(self, client_key: str, request: object) -> bool:
        return client_key == self._key

    def get_client_secret(self, client_key: str, request: object) -> str:
        return self._secret

    def validate_timestamp_and_nonce(self, *_: object, **__: object) -> bool:
        return True


def _build_common_fields(row: Row) -> Record:
    return {"sourcedId": row["sourcedId"], "status": "active", "dateLastModified": MODIFIED}


def _build_reference(kind: str, plural: str, sourced_id: str) -> Record:
    return {"href": f"{BASE}/{plural}/{sourced_id}", "sourcedId": sourced_id, "type": kind}


def _build_references(kind: str, plural: str, cell: str) -> list[Record]:
    return [_build_reference(kind, plural, each) for each in cell.split(",") if each]


def _build_session(row: Row) -> Record:
    above = row["parentSourcedId"]
    return {
        **_build_common_fields(row),
        "title": row["title"],
        "type": row["type"],
        "startDate": row["startDate"],
        "endDate": row["endDate"],
        "schoolYear": row["schoolYear"],
        **({"parent": _build_reference("academicSession", "academicSessions", above)} if above else {}),
    }


def _build_org(row: Row) -> Record:
    above = row.get("parentSourcedId", "")
    return {
        **_build_common_fields(row),
        "name": row["name"],
        "type": row["type"],
        "identifier": row["identifier"],
        **({"parent": _build_reference("org", "orgs", above)} if above else {}),
    }


def _build_course(row: Row) -> Record:
    return {
        **_build_common_fields(row),
        "title": row["title"],
        "courseCode": row["courseCode"],
        "grades": row["grades"].split(","),
        "org": _build_reference("org", "orgs", row["orgSourcedId"]),
        "schoolYear": _build_reference("academicSession", "academicSessions", row["schoolYearSourcedId"]),
    }


def _build_class(row: Row) -> Record:
    return {
        **_build_common_fields(row),
        "title": row["title"],
        "classCode": row["classCode"],
        "classType": row["classType"],
        "grades": row["grades"].split(","),
        "course": _build_reference("course", "courses", row["courseSourcedId"]),
        "school": _build_reference("org", "orgs", row["schoolSourcedId"]),
        "terms": _build_references("academicSession", "academicSessions", row["termSourcedIds"]),
    }


def _build_user(row: Row) -> Record:
    return {
        **_build_common_fields(row),
        "username": row["username"],
        "enabledUser": row["enabledUser"],
        "givenName": row["givenName"],
        "familyName": row["familyName"],
        "role": row["role"],
        "identifier": row["identifier"],
        "email": row["email"],
        "grades": [row["grades"]] if row["grades"] else [],
        "orgs": _build_references("org", "orgs", row["orgSourcedIds"]),
    }


def _build_enrollment(row: Row) -> Record:
    return {
        **_build_common_fields(row),
        "user": _build_reference("user", "users", row["userSourcedId"]),
        "class": _build_reference("class", "classes", row["classSourcedId"]),
        "school": _build_reference("org", "orgs", row["schoolSourcedId"]),
        "role": row["role"],
        "primary": row["primary"] or "false",
        "beginDate": row["beginDate"],
        "endDate": row["endDate"],
    }


RECORD_BUILDERS: dict[str, Callable[[Row], Record]] = {
    "academicSessions": _build_session,
    "classes": _build_class,
    "courses": _build_course,
    "enrollments": _build_enrollment,
    "orgs": _build_org,
    "users": _build_user,
}
