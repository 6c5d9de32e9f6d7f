"""No notification names a person: neither in the outbox nor in a webhook or an email.

All personal values of these rosters contain a mark, so that any leak shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import clock
from reconciler.model.diagnostic import Refusal, build_error
from tests.support.customers.project import Project
from tests.support.rosters.bundles import Bundle, Row, bundle
from tests.support.servers.webhook_receiver import Receiver, receiving
from tests.support.sources.in_memory import SFTP, GivenSource, given_sources, packed

MARK = "qz"
PERSONAL = ("sourcedId", "givenName", "familyName", "username", "identifier", "email")
MONDAY = datetime(2026, 11, 23, 3, tzinfo=UTC)

Given = Bundle | bytes | Refusal | Exception


def marked(made: Bundle) -> Bundle:
    """The same people under names, ids and addresses that hold the mark."""
    users = [{**row, **{name: f"{MARK}{row[name]}" for name in PERSONAL}} for row in made.tables["users"]]
    enrollments = [{**row, "userSourcedId": f"{MARK}{row['userSourcedId']}"} for row in made.tables["enrollments"]]
    return made.with_rows("users", users).with_rows("enrollments", enrollments)


DAY = marked(bundle(users=40))


def each(change: Callable[[int, Row], Mapping[str, str]]) -> Bundle:
    """Every person changed."""
    return DAY.with_rows("users", [{**row, **change(place, row)} for place, row in enumerate(DAY.tables["users"])])


def slipped(*columns: str) -> Bundle:
    """These columns are those of the next row."""
    rows = DAY.tables["users"]
    return each(lambda place, _: {name: rows[(place + 1) % len(rows)][name] for name in columns})


def rekeyed() -> Bundle:
    new = {row["sourcedId"]: f"{row['sourcedId']}-new" for row in DAY.tables["users"]}
    users = [{**row, "sourcedId": new[row["sourcedId"]]} for row in DAY.tables["users"]]
    enrollments = [{**row, "userSourcedId": new[row["userSourcedId"]]} for row in DAY.tables["enrollments"]]
    return DAY.with_rows("users", users).with_rows("enrollments", enrollments)


def without_school(school: str) -> Bundle:
    left = [row["sourcedId"] for row in DAY.tables["users"] if row["orgSourcedIds"] == school]
    return DAY.without_users(left)


NIGHTS: Mapping[str, Given] = {
    "as ever": DAY,
    "a school is gone": without_school("s-1"),
    "half of all are gone": DAY.without_users(DAY.students()[::2]),
    "new ids": rekeyed(),
    "names of others": slipped("givenName", "familyName", "identifier", "email"),
    "addresses of others": slipped("email", "username"),
    "all administer": each(lambda *_: {"role": "administrator"}),
    "nobody is enabled": each(lambda *_: {"enabledUser": "false"}),
    "roles that nobody knows": each(lambda *_: {"role": "wizard"}),
    "everybody twice": DAY.with_rows("users", [*DAY.tables["users"], *DAY.tables["users"]]),
    "damaged": packed(DAY)[:-200],
    "a file that is cut off": DAY.raw("users.csv", DAY.text("users").encode()[:-40]),
    "no people": DAY.with_rows("users", []),
    "not reached": Refusal([build_error("host-unreachable", f"no connection for {MARK}u-0001")]),
    "a defect": ValueError(f"{MARK}u-0001"),
}


@dataclass
class Nights:
    """One night after the other: a sync at 03:00 with what it gets, and a delivery in the morning."""

    project: Project
    source: GivenSource
    receiver: Receiver
    now: datetime = MONDAY

    def play(self, roster: Given) -> None:
        self.source.given = roster
        self.now += timedelta(days=1)
        with clock.freeze_time(self.now):
            self.project.run("sync", "springfield")
        with clock.freeze_time(self.now + timedelta(hours=5)):
            self.project.run("sync", "--due")

    def texts(self) -> Iterator[str]:
        for table in ("notices", "outbox"):
            yield from (repr(row) for row in self.project.ask(f"SELECT * FROM {table}"))
        yield from (got.body.decode() for got in self.receiver.received)
        yield from (path.read_text(encoding="utf-8") for path in Path(".reconciler/outbox").glob("*.eml"))

    def told(self) -> set[str]:
        return {got.json["type"] for got in self.receiver.received}


@pytest.fixture
def nights(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    with receiving() as receiver:
        monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__SFTP", "hunter2")
        text = (project.folder / "reconciler.yaml").read_text(encoding="utf-8")
        project.write("reconciler.yaml", f'{text}network: {{allow: ["127.0.0.1"]}}\n')
        more = f"notify: {{webhook: '{receiver.url}', email: [ops@read.example]}}\n"
        project.customer(org=None, more=SFTP.format(host="sftp.example.org", auto="") + more)
        assert project.apply("--roster", "none", "springfield").code == 0
        sources = given_sources(monkeypatch)
        sources["springfield"] = GivenSource(DAY)
        yield Nights(project, sources["springfield"], receiver)


def test_notices_of_holds_refusals_and_failures_name_nobody(nights: Nights) -> None:
    for name in ("as ever", "a school is gone", "not reached", "a defect", "as ever"):
        nights.play(NIGHTS[name])
    told_without_names(nights)


@pytest.mark.slow
def test_no_name_is_told_whatever_happens_in_a_fortnight(nights: Nights) -> None:
    for roster in (DAY, *NIGHTS.values(), DAY):
        nights.play(roster)
    told_without_names(nights)


def told_without_names(nights: Nights) -> None:
    found = list(nights.texts())
    assert nights.told() >= {"sync.held", "sync.refused", "sync.failed", "sync.recovered"}
    assert any("Subject: " in text for text in found)
    assert [text for text in found if MARK in text.casefold()] == []


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(NIGHTS)), min_size=2, max_size=4))
def test_no_name_is_told_in_whatever_order_it_happens(nights: Nights, order: list[str]) -> None:
    for name in order:
        nights.play(NIGHTS[name])
    assert [text for text in nights.texts() if MARK in text.casefold()] == []
