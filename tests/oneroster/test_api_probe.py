"""A probe says what a server does: each habit that the tests' own server can be switched to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal, Severity
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.client import create_api_client
from reconciler.oneroster.sources.api.probe.probe import probe_api
from reconciler.oneroster.sources.api.probe.question import mask_digits
from reconciler.oneroster.sources.interface import ProbeFinding
from tests.support.roster_server.authority import CONSUMER_KEY, SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Body, Fault, LoginPage, Status, Switches, whenever
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.servers.scripted_http import Time, loopback

SMALL = bundle(users=30, schools=2, classes=4).with_sessions_and_courses()
Serving = Callable[..., RosterServer]


def probed(server: RosterServer, **changes: Any) -> dict[str, ProbeFinding]:
    oauth2 = server.authorization == "oauth2"
    account = ApiAccount(
        url=server.url,
        version=server.version,
        authorization=server.authorization,
        consumer_key=CONSUMER_KEY,
        secret_key=SecretStr(SECRET),
        token_url=server.token_url if oauth2 else None,
    )
    account = replace(account, **changes)
    time = Time()
    with create_api_client(account, time.hosts(), loopback, sleep=time.sleep) as client:
        findings = probe_api(account, client)
    assert len(server.requests) <= 25
    text = repr(findings)
    assert SECRET not in text
    assert all(row["familyName"] not in text for row in SMALL.tables["users"])
    assert len({finding.name for finding in findings}) == len(findings)
    return {finding.name: finding for finding in findings}


def values(server: RosterServer, **changes: Any) -> dict[str, str]:
    return {name: finding.value for name, finding in probed(server, **changes).items()}


def test_a_server_as_the_standard_has_it(serving: Serving) -> None:
    server = serving(SMALL)
    found = probed(server)
    users = len(SMALL.tables["users"])
    assert {name: finding.value for name, finding in found.items() if name != "speed"} == {
        "sign-in": "oauth1",
        "signature-hmac-sha1": "accepted",
        "signature-hmac-sha256": "accepted",
        "version": "1.1",
        **{
            name: str(len(SMALL.tables[table]))
            for name, table in {
                "rows-orgs": "orgs",
                "rows-academic-sessions": "academicSessions",
                "rows-courses": "courses",
                "rows-classes": "classes",
                "rows-enrollments": "enrollments",
                "rows-users": "users",
            }.items()
        },
        "page-clamp": "unknown",
        "limit": "honored",
        "offset": "honored",
        "behind-the-end": "an empty list",
        "sort": "honored",
        "total": "x-total-count",
        "link": "absolute",
        "filter": "honored",
        "tobedeleted": "not seen",
        "envelope": "as in the standard",
        "booleans": "text",
        "date-last-modified": "9999-99-99T99:99:99.999Z",
        "days": "9999-99-99",
    }
    assert found["speed"].value.endswith(" rows/s")
    assert found["speed"].remark.endswith(f"for a page of {users}")
    assert found["page-clamp"].remark == f"there are only {users} rows"
    assert all(finding.severity is Severity.INFO for finding in found.values())


def test_a_server_of_1_2(serving: Serving) -> None:
    found = values(serving(SMALL, version="1.2", authorization="oauth2"))
    assert found["sign-in"] == "oauth2"
    assert found["version"] == "1.2"
    assert "signature-hmac-sha1" not in found
    assert "scopes-withheld" not in found


HABITS: dict[str, tuple[Switches, dict[str, str]]] = {
    "clamp": (Switches(clamp=7), {"page-clamp": "7", "limit": "honored", "offset": "honored"}),
    "clamp without a total": (Switches(clamp=7, total=None, link=None), {"page-clamp": "7", "total": "none"}),
    "few rows without a total": (Switches(total=None, link=None), {"page-clamp": "unknown", "link": "none"}),
    "x-count": (Switches(total="x-count"), {"total": "x-count", "rows-users": str(len(SMALL.tables["users"]))}),
    "no total": (Switches(total=None), {"rows-users": "at least 3"}),
    "relative link": (Switches(link="relative"), {"link": "relative"}),
    "link elsewhere": (Switches(link="https://elsewhere.example/users"), {"link": "absolute, refused: link-refused"}),
    "the same page for ever": (Switches(same_page=True), {"offset": "ignored", "behind-the-end": "rows"}),
    "sort ignored": (Switches(sort="ignored"), {"sort": "ignored"}),
    "sort refused": (Switches(sort="refused"), {"sort": "refused: bad-request"}),
    "sort after paging": (Switches(sort="after-paging"), {"sort": "within a page only"}),
    "filter ignored": (Switches(filter="ignored"), {"filter": "ignored"}),
    "filter refused": (Switches(filter="refused"), {"filter": "refused: bad-request"}),
    "filter gives nothing": (Switches(filter="nothing"), {"filter": "gives nothing"}),
    "booleans": (Switches(booleans="json"), {"booleans": "JSON"}),
    "singular": (Switches(envelope="singular"), {"envelope": "orgs: org, academicSessions: academicSession, "
                 "courses: course, classes: class, users: user, enrollments: enrollment"}),
    "null": (Switches(envelope="null"), {"envelope": "orgs: no list, academicSessions: no list, "
             "courses: no list, classes: no list, users: no list, enrollments: no list"}),
    "bare": (Switches(envelope="bare"), {"envelope": "orgs: no key, academicSessions: no key, "
             "courses: no key, classes: no key, users: no key, enrollments: no key"}),
    "sha1 only": (Switches(sha256=False), {"signature-hmac-sha1": "accepted", "signature-hmac-sha256": "refused"}),
    "forbidden": (Switches(faults=(whenever("courses", Status(403)),)), {"rows-courses": "refused: forbidden"}),
    "missing": (Switches(faults=(whenever("courses", Status(404)),)), {"rows-courses": "refused: not-found"}),
    "a page for people": (Switches(faults=(whenever("courses", LoginPage()),)), {"rows-courses": "refused: not-json"}),
    "a dead class": (Switches(faults=(whenever("classes", Body(b"{nonsense}")),)), {"envelope": "classes: no list"}),
}  # fmt: skip


@pytest.mark.parametrize("habit", HABITS)
def test_each_habit_is_found(serving: Serving, habit: str) -> None:
    switches, expected = HABITS[habit]
    found = values(serving(SMALL, switches=switches))
    assert {name: found[name] for name in expected} == expected


#: Habits that cost people something.
@pytest.mark.parametrize(
    ("habit", "name"),
    [
        ("the same page for ever", "offset"),
        ("sort ignored", "sort"),
        ("filter ignored", "filter"),
        ("filter gives nothing", "filter"),
        ("singular", "envelope"),
        ("link elsewhere", "link"),
    ],
)
def test_probe_warns_of_what_blocks_a_fetch(serving: Serving, habit: str, name: str) -> None:
    assert probed(serving(SMALL, switches=HABITS[habit][0]))[name].severity is Severity.WARNING


def test_people_who_left_are_seen_where_they_are_sent(serving: Serving) -> None:
    gone = SMALL.tables["users"][5]["sourcedId"]
    marked: Bundle = SMALL.with_row("users", gone, status="tobedeleted")
    assert values(serving(marked))["tobedeleted"] == "sent"
    assert values(serving(marked, switches=Switches(tobedeleted="dropped")))["tobedeleted"] == "not seen"


def test_wrong_signing_method_is_named_and_the_probe_continues(serving: Serving) -> None:
    found = probed(serving(SMALL, switches=Switches(sha256=False)), signature="hmac-sha256")
    assert found["signature-hmac-sha256"].severity is Severity.WARNING
    assert found["signature-hmac-sha256"].remark == "set signature: hmac-sha1"
    assert found["rows-users"].value == str(len(SMALL.tables["users"]))


def test_wrong_secret_is_refused_after_one_request_per_method(serving: Serving) -> None:
    server = serving(SMALL)
    with pytest.raises(Refusal, match="unauthorized"):
        probed(server, secret_key=SecretStr("another"))
    assert len(server.requests) == 2


def test_a_withheld_scope_is_named(serving: Serving) -> None:
    switches = Switches(granted=frozenset({"roster-core"}))
    found = probed(serving(SMALL, authorization="oauth2", switches=switches))
    assert found["scopes-withheld"].value == "roster.readonly"
    assert found["scopes-withheld"].severity is Severity.WARNING


def test_server_giving_nothing_is_refused_with_every_reason(serving: Serving) -> None:
    with pytest.raises(Refusal) as caught:
        probed(serving(SMALL, switches=Switches(faults=(whenever("*", Status(404)),))))
    assert len(caught.value.diagnostics) == 6


def test_server_asking_for_a_pause_is_left_alone(serving: Serving) -> None:
    server = serving(SMALL, switches=Switches(faults=(Fault("classes", Status(429, retry_after="86400")),)))
    with pytest.raises(Refusal, match="asked-to-wait"):
        probed(server)
    assert len(server.asked("users")) == 0


def test_a_form_of_dates_says_nothing_of_the_dates() -> None:
    assert mask_digits("2026-01-01T00:00:00.000Z") == "9999-99-99T99:99:99.999Z"
    assert mask_digits("8 Tishri 5787\x1b[1m") == "9 Taaaaa 9999[9a"
    assert len(mask_digits("x" * 500)) == 40
