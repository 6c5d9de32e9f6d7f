"""A roster through the API from a local server, beside bare requests for the same pages and the fastest JSON parser.

The server is a process of its own that has every row as JSON and only joins them to pages; it gives totals and stays as
it is. Both sides take turns, and of each the quickest round counts. `--large` measures instead how much memory the
fetch of a very large roster takes, in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
from pydantic import SecretStr

from benchmarks.customers import Figure
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings
from reconciler.oneroster.sources.api.source import ApiSource
from reconciler.oneroster.sources.interface import FetchRequest

PAGE = 1_000
SCHOOLS = 100
#: Rows of a collection beside the schools.
USUAL = {"classes": 20_000, "users": 80_000, "enrollments": 400_000}
LARGE = {"classes": 100_000, "users": 1_000_000, "enrollments": 8_000_000}
ROUNDS = 3
TIME_BOUND, MEMORY_BOUND = 2.0, 2_000
BASE = "/ims/oneroster/v1p1"
NOW = "2026-11-22T03:00:00Z"
AHEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Total-Count: %d\r\nContent-Length: %d\r\n\r\n"


def build_key(kind: str, number: int) -> str:
    """Random to look at, and ascending as the number is."""
    return f"{kind}-{number:08d}-{number * 2_654_435_761 % 2**32:08x}"


def build_reference(kind: str, sourced_id: str) -> dict[str, str]:
    path = {"class": "classes"}.get(kind, f"{kind}s")
    return {"href": f"https://sis.example{BASE}/{path}/{sourced_id}", "sourcedId": sourced_id, "type": kind}


def build_record(name: str, number: int, counts: dict[str, int]) -> dict[str, object]:
    """One record of OneRoster 1.1 with all that real ones have."""
    first = {"status": "active", "dateLastModified": f"2026-09-{number % 28 + 1:02d}T02:{number % 60:02d}:00.000Z"}
    school = build_reference("org", build_key("s", number % SCHOOLS))
    match name:
        case "orgs":
            top = number == 0
            return {
                "sourcedId": build_key("s", number),
                **first,
                "name": f"School {number}",
                "type": "district" if top else "school",
                "identifier": str(number),
                **({} if top else {"parent": build_reference("org", build_key("s", 0))}),
            }
        case "classes":
            return {
                "sourcedId": build_key("c", number),
                **first,
                "title": f"Mathematics {number}",
                "classCode": f"M{number}",
                "classType": "scheduled",
                "location": f"Room {number % 300}",
                "grades": ["09"],
                "subjects": ["Mathematics"],
                "course": build_reference("course", f"course-{number % 500}"),
                "school": school,
                "terms": [build_reference("academicSession", "t-1")],
                "periods": ["1"],
            }
        case "users":
            return {
                "sourcedId": build_key("u", number),
                **first,
                "enabledUser": "true",
                "orgs": [school],
                "role": "teacher" if number % 16 == 0 else "student",
                "username": f"user{number * 7_919 % 10**9:09d}",
                "userIds": [{"type": "LDAP", "identifier": f"{number * 31 % 10**8:08d}"}],
                "givenName": f"Given{number * 37 % 5_003}",
                "familyName": f"Family{number * 61 % 20_011}",
                "middleName": "",
                "identifier": f"{1_000_000 + number}",
                "email": f"user{number * 7_919 % 10**9:09d}@bench.example",
                "sms": "",
                "phone": "",
                "agents": [],
                "grades": [f"{number % 12 + 1:02d}"],
            }
        case _:
            return {
                "sourcedId": build_key("e", number),
                **first,
                "user": build_reference("user", build_key("u", number % counts["users"])),
                "class": build_reference("class", build_key("c", number * 17 % counts["classes"])),
                "school": school,
                "role": "student",
                "primary": "false",
                "beginDate": "2026-08-24",
                "endDate": "2027-06-12",
            }


def serve_rows(counts: dict[str, int], ready: multiprocessing.Queue[int]) -> None:
    """One request after the other on each connection, until the process is ended."""
    import threading

    small = sum(counts.values()) <= 1_000_000
    every = {name: CollectionRows(name, counts, keep=small) for name in counts}
    listening = socket.create_server(("127.0.0.1", 0))
    ready.put(listening.getsockname()[1])
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=respond_to_requests, args=(connection, every), daemon=True).start()


class CollectionRows:
    """Rows of one collection as JSON. keep: all of them, made beforehand; else a page is made as it is asked for."""

    def __init__(self, name: str, counts: dict[str, int], *, keep: bool) -> None:
        self.name, self.counts, self.count = name, counts, counts[name]
        self.kept = [self._build_row(number) for number in range(self.count)] if keep else None

    def build_page(self, offset: int, limit: int) -> bytes:
        numbers = range(offset, min(offset + limit, self.count))
        rows = self.kept[offset : offset + limit] if self.kept else [self._build_row(number) for number in numbers]
        body = b'{"%s":[%s]}' % (self.name.encode(), b",".join(rows))
        return AHEAD % (self.count, len(body)) + body

    def _build_row(self, number: int) -> bytes:
        return orjson.dumps(build_record(self.name, number, self.counts))


def respond_to_requests(connection: socket.socket, collections: dict[str, CollectionRows]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in pending:
                part = connection.recv(65_536)
                if not part:
                    return
                pending += part
            head, _, pending = pending.partition(b"\r\n\r\n")
            target = urlsplit(head.split(b" ", 2)[1].decode())
            query = dict(parse_qsl(target.query))
            rows = collections.get(target.path.rpartition("/")[2])
            if rows is None:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
            else:
                connection.sendall(rows.build_page(int(query["offset"]), int(query["limit"])))


@contextmanager
def run_server(counts: dict[str, int]) -> Iterator[str]:
    """The base address of a server with so many rows."""
    spawned = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[int] = spawned.Queue()
    process = spawned.Process(target=serve_rows, args=(counts, ready), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ready.get(timeout=300)}{BASE}"
    finally:
        process.terminate()
        process.join()


def fetch_bare(url: str, counts: dict[str, int]) -> None:
    """The least that anybody who reads these pages has to do."""
    rows = 0
    with httpx.Client(trust_env=False) as client:
        for name, count in counts.items():
            for offset in range(0, count, PAGE):
                found = client.get(f"{url}/{name}", params={"limit": PAGE, "offset": offset})
                rows += len(orjson.loads(found.content)[name])
    if rows != sum(counts.values()):
        raise SystemExit(f"{rows:,} rows came")


def fetch_bundle(url: str, place: Path, *, checkpoints: bool = True) -> int:
    """Bytes of the bundle."""
    kept = CheckpointSettings(place / "fetches", bytes(range(32))) if checkpoints else None
    account = ApiAccount(url, "1.1", "oauth1", "key", SecretStr("secret"), page_size=PAGE, timeout=timedelta(hours=2))
    found = ApiSource(account, HostThrottle(), lambda host: host == "127.0.0.1", kept).fetch(FetchRequest(NOW))
    with found.stream as stream:
        return stream.seek(0, 2)


def measure_usual() -> list[Figure]:
    counts = {"orgs": SCHOOLS, **USUAL}
    total = sum(counts.values())
    ours, theirs = [], []
    with run_server(counts) as url, tempfile.TemporaryDirectory() as folder:
        size = 0
        for _ in range(ROUNDS):
            start = time.perf_counter()
            fetch_bare(url, counts)
            theirs.append(time.perf_counter() - start)
            start = time.perf_counter()
            size = fetch_bundle(url, Path(folder))
            ours.append(time.perf_counter() - start)
    print(
        f"{total:,} rows in pages of {PAGE:,}: bare httpx and orjson {min(theirs):.2f} s · fetch, with checkpoints, "
        f"{min(ours):.2f} s, {total / min(ours):,.0f} rows/s, a bundle of {size / 1e6:.0f} MB"
    )
    text = "fetch through the API / bare requests and JSON parsing of the same pages"
    return [Figure(text, min(ours) / min(theirs), TIME_BOUND)]


def measure_large() -> list[Figure]:
    counts = {"orgs": SCHOOLS, **LARGE}
    spawned = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[tuple[float, int, int]] = spawned.Queue()
    with run_server(counts) as url:
        process = spawned.Process(target=_measure_memory, args=(url, told))
        process.start()
        taken, peak, size = told.get()
        process.join()
    print(f"{sum(counts.values()):,} rows in pages of {PAGE:,}: {taken:.0f} s, a bundle of {size / 1e6:.0f} MB")
    return [Figure(f"peak memory of a fetch of {sum(counts.values()):,} rows", peak, MEMORY_BOUND, " MB")]


def _measure_memory(url: str, results: multiprocessing.Queue[tuple[float, int, int]]) -> None:
    start = time.perf_counter()
    folder = Path(tempfile.mkdtemp())
    try:
        size = fetch_bundle(url, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6
    results.put((time.perf_counter() - start, peak, size))


def main(words: list[str]) -> int:
    figures = measure_large() if "--large" in words else measure_usual()
    for figure in figures:
        bound = f"at most {figure.bound:.4g}{figure.unit}"
        print(f"{figure.text:<76} {figure.ratio:8.2f}{figure.unit}   {bound}   {'ok' if figure.holds else 'MISSED'}")
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
