"""Values and names that one machine or program reads in another way than the next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.config.repository import load_repository
from tests.support.customers.files import Files

AGREED = "agreements: {{privacy_policy: {day}, terms_of_service: {day}}}\n"


@pytest.mark.parametrize(
    ("zone", "day", "hour", "codes"),
    [
        ("Pacific/Auckland", "2026-11-23", 12, []),
        ("Pacific/Auckland", "2026-11-24", 12, ["date-in-future", "date-in-future"]),
        ("America/Chicago", "2026-11-22", 3, ["date-in-future", "date-in-future"]),
        ("America/Chicago", "2026-11-22", 7, []),
        ("UTC", "2026-11-23", 23, ["date-in-future", "date-in-future"]),
    ],
)
def test_151_agreement_is_dated_by_the_time_zone(
    files: Files, zone: str, day: str, hour: int, codes: list[str]
) -> None:
    files.community()
    files.customer(AGREED.format(day=day) + f"timezone: {zone}\n", without=["agreements"])
    moment = datetime(2026, 11, 22, hour, tzinfo=UTC)
    found = load_repository(Path("customers"), moment=moment).diagnostics
    assert [each.code for each in found] == codes
    assert all(each.span is not None and each.span.line == 6 for each in found)


def test_151_inherited_agreement_is_reported_once_at_its_place(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\n" + AGREED.format(day="2026-11-23"))
    for name in ("springfield", "shelbyville"):
        files.customer(name=name, without=["agreements"])
    found = files.load().diagnostics
    assert [(each.code, str(each.span)) for each in found] == [
        ("date-in-future", "customers/defaults.yaml:2:30"),
        ("date-in-future", "customers/defaults.yaml:2:60"),
    ]


def test_152_agreements_say_who_accepted_them(files: Files) -> None:
    files.community()
    more = "agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01, accepted_by: Ann Bee}\n"
    files.customer(more, without=["agreements"])
    repository = files.load()
    assert repository.diagnostics == ()
    assert repository.customers["springfield"].documents[0].document["agreements"] == {
        "accepted_by": "Ann Bee",
        "privacy_policy": "2026-08-01",
        "terms_of_service": "2026-08-01",
    }


@pytest.mark.parametrize(
    "zone", ["localtime", "posixrules", "Factory", "posix/Europe/Rome", "america/chicago", "right/UTC"]
)
def test_153_time_zone_of_one_machine_is_refused(files: Files, zone: str) -> None:
    files.customer(f"timezone: {zone}\n")
    assert files.codes() == ["invalid-timezone"]


@pytest.mark.parametrize(
    ("zone", "hint"), [("US/Central", "Write America/Chicago."), ("Japan", "Write the area and a city")]
)
def test_153_old_name_of_a_time_zone_is_a_warning(files: Files, zone: str, hint: str) -> None:
    files.customer(f"timezone: {zone}\n")
    assert "warning: timezone" in files.said() or "[invalid-timezone]" in files.said()
    assert hint in files.said() or "[invalid-timezone]" in files.said()


@pytest.mark.parametrize(
    "zone", ["UTC", "America/Argentina/Buenos_Aires", "Asia/Ust-Nera", "America/Port-au-Prince", "Europe/Isle_of_Man"]
)
def test_153_present_name_is_no_warning(files: Files, zone: str) -> None:
    files.customer(f"timezone: {zone}\n")
    assert files.codes() == []


@pytest.mark.parametrize("seats", ["017", "-08", "00"])
def test_154_number_that_begins_with_zero_is_refused(files: Files, seats: str) -> None:
    files.customer()
    files.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\n"
        f"site_license: {{seats: {seats}, starts: 2026-08-01, ends: 2027-07-31}}\n",
    )
    assert files.codes() == ["leading-zero"]
    assert f"Write {int(seats)}." in files.said()


@pytest.mark.parametrize("origin", ["https://*.lms.example", "https://lms-?.example", "https://{tenant}.example"])
def test_155_wildcard_in_a_host_is_refused_as_such(files: Files, origin: str) -> None:
    files.community()
    files.customer(
        "lti:\n  platforms:\n    - {id: canvas, version: '1.1', consumer_key: k-1, shared_secret: {secret: canvas},"
        f" community: high, origins: ['{origin}']}}\n"
    )
    assert files.codes() in (["invalid-url"], ["invalid-origin"])
    if "*" in origin:
        assert "a wildcard such as * would match no host" in files.said()


@pytest.mark.parametrize("name", ["defaults.yml", "Defaults.yaml"])
def test_156_misnamed_defaults_invalidate_what_would_inherit_them(files: Files, name: str) -> None:
    files.customer(name="north/springfield")
    files.customer(name="shelbyville")
    files.write(f"customers/north/{name}", "kind: defaults\ntimezone: America/Chicago\n")
    repository = files.load()
    assert [(each.code, str(each.span)) for each in repository.errors] == [("misnamed-file", f"customers/north/{name}")]
    assert "Rename it to defaults.yaml." in files.said()
    assert list(repository.customers) == ["shelbyville"]
    assert list(repository.invalid) == ["springfield"]
