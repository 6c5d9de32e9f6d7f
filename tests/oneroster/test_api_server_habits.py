"""The habits of real servers, played by the tests' own one: read whole, or refused for what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.bundle import read_bundle
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.source import ApiSource
from reconciler.oneroster.sources.interface import FetchRequest
from tests.support.roster_server.authority import CONSUMER_KEY, SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Becomes, EmptyPage, Fault, Switches
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import NOW, codes, read

PLAIN = bundle(users=60).with_sessions_and_courses()
#: In the order of sourcedIds, as a server gives it: lines then are the same.
MADE = PLAIN.with_rows("academicSessions", sorted(PLAIN.tables["academicSessions"], key=lambda row: row["sourcedId"]))
PAGE = 25


def _shown(habit: Switches) -> str:
    plain = Switches()
    named = ((field.name, getattr(habit, field.name)) for field in fields(habit))
    return " ".join(f"{name}={value}" for name, value in named if value != getattr(plain, name))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RosterServer]]:
    with RosterServer(MADE) as old, RosterServer(MADE, version="1.2", authorization="oauth2") as new:
        yield {"1.1": old, "1.2": new}


@pytest.fixture
def server(servers: dict[str, RosterServer]) -> RosterServer:
    return servers["1.1"]


def fetched(server: RosterServer, version: str = "1.1", **account: Any) -> tuple[Snapshot, tuple[Diagnostic, ...]]:
    auth = "oauth1" if version == "1.1" else "oauth2"
    plain = ApiAccount(
        server.url,
        version,
        auth,  # type: ignore[arg-type]
        CONSUMER_KEY,
        SecretStr(SECRET),
        token_url=server.token_url if auth == "oauth2" else None,
        page_size=PAGE,
        timeout=timedelta(minutes=1),
    )
    source = ApiSource(replace(plain, **account), HostThrottle(), lambda host: host == "127.0.0.1")
    found = source.fetch(FetchRequest(NOW))
    with found.stream as stream:
        return read_bundle(stream, type="api", name=found.name, fetched_at=NOW), found.diagnostics


def refused(server: RosterServer) -> list[str]:
    with pytest.raises(Refusal) as caught:
        fetched(server)
    return codes(caught.value.diagnostics)


def same(ours: Snapshot, theirs: Snapshot) -> bool:
    frames = ("orgs", "users", "roles", "classes", "enrollments", "quarantine", "sessions")
    return all(getattr(ours, name).equals(getattr(theirs, name)) for name in frames)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_standard_server_gives_the_roster_of_the_zip(
    servers: dict[str, RosterServer], version: str, tmp_path: Path
) -> None:
    servers[version].now()
    ours, notes = fetched(servers[version], version)
    assert same(ours, read(MADE if version == "1.1" else MADE.version12(), tmp_path))
    assert not notes


@pytest.mark.parametrize(
    ("habit", "told"),
    [
        (Switches(clamp=7), ["page-clamp"]),
        (Switches(clamp=7, total=None, link=None), ["page-clamp"]),
        (Switches(total="x-count"), []),
        (Switches(total_off_by=-5), ["wrong-total"]),
        (Switches(link="relative", total=None), []),
        (Switches(link="endless", total=None), []),
        (Switches(link="loop"), []),
        (Switches(sort="refused"), ["unsorted-pages"]),
        (Switches(sort="ignored"), []),
        (Switches(order="unless-sorted"), []),
        (Switches(booleans="json", empties="null", href="relative"), []),
        (Switches(empties="blank", gzip=True), []),
        (Switches(envelope="path"), []),
    ],
    ids=lambda each: _shown(each) if isinstance(each, Switches) else None,
)
def test_a_servers_habit_changes_nothing(
    server: RosterServer, habit: Switches, told: list[str], tmp_path: Path
) -> None:
    server.now(switches=habit)
    ours, notes = fetched(server)
    assert same(ours, read(MADE, tmp_path))
    assert sorted(set(codes(notes))) == told


@pytest.mark.parametrize(
    ("habit", "code"),
    [
        (Switches(total_off_by=3), "incomplete-collection"),
        (Switches(total_grows=True), "incomplete-collection"),
        (Switches(same_page=True), "paging-loop"),
        (Switches(same_page=True, total=None, link=None), "paging-loop"),
        (Switches(overlap=1), "unstable-paging"),
        (Switches(order="shuffled"), "unstable-paging"),
        (Switches(sort="after-paging", order="shuffled"), "unstable-paging"),
        (Switches(envelope="singular"), "wrong-envelope"),
        (Switches(envelope="null"), "wrong-envelope"),
        (Switches(envelope="missing"), "wrong-envelope"),
        (Switches(envelope="bare"), "wrong-envelope"),
    ],
    ids=lambda each: _shown(each) if isinstance(each, Switches) else None,
)
def test_a_server_that_does_not_give_everything_is_refused(server: RosterServer, habit: Switches, code: str) -> None:
    server.now(switches=habit)
    assert refused(server) == [code]


def test_empty_page_in_mid_stream_is_retried_then_refused(server: RosterServer, tmp_path: Path) -> None:
    server.now(Fault("users", EmptyPage(), at=2))
    assert same(fetched(server)[0], read(MADE, tmp_path))
    server.now(Fault("users", EmptyPage(), at=2, times=None))
    assert refused(server) == ["incomplete-collection"]
    server.now(Fault("users", EmptyPage(), at=2, times=None), switches=Switches(total=None, link=None))
    assert refused(server) == ["unstable-paging"]


def test_rows_shifting_while_read_are_read_again(server: RosterServer, tmp_path: Path) -> None:
    later = MADE.without_users(["u-0003"]).with_user("u-9999")
    server.now(Fault("users", Becomes(later), at=3))
    ours, notes = fetched(server)
    assert ours.users["sourced_id"].to_list() == later.ids("users")
    assert "paging-started-over" in codes(notes)
    server.now(bundle=MADE)
