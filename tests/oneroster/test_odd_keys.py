"""sourcedIds and names that look like others, are long, or contain special characters."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Span
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import codes, only, places, read

SMALL = bundle(users=10)


@pytest.mark.parametrize(
    "key", ["a/b?c=1", 'say "hi"', "x,y", "Ü-1", "k" * 300, "'; drop table users --", "{id}", "%s"]
)
def test_a_key_is_opaque_whatever_signs_it_holds(tmp_path: Path, key: str) -> None:
    made = SMALL.with_user(key, username="odd").with_row(
        "enrollments", "e-99", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId=key, role="student"
    )
    snapshot = read(made, tmp_path)
    assert snapshot.users["sourced_id"].to_list()[-1] == key
    assert snapshot.enrollments["user"].to_list()[-1] == key
    assert (snapshot.roles["user"].to_list()[-1], snapshot.quarantine.height, snapshot.diagnostics) == (key, 0, ())


@pytest.mark.parametrize(
    "twin", ["u\u00e9-1 u\u0065\u0301-1", "u-a u-A", "\uff55-1 u-1", "Stra\u00dfe-1 stra\u00dfe-1"]
)
def test_lookalike_keys_are_two_people_and_reported(tmp_path: Path, twin: str) -> None:
    one, other = twin.split(" ")
    snapshot = read(SMALL.with_user(one, username="x1").with_user(other, username="x2"), tmp_path)
    assert {one, other} <= set(snapshot.users["sourced_id"])
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("keys-alike", Span("users.csv", 12))


def test_direction_marks_stay_in_names_but_not_messages(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", givenName="Ada\u202e").with_row(
        "enrollments", "e-00003", userSourcedId="u\u202e\u2066-1"
    )
    snapshot = read(made, tmp_path)
    assert "Ada\u202e" in snapshot.users["given_name"]
    assert snapshot.quarantine["message"].item() == 'user "u??-1" is not in users.csv'
    assert places(snapshot)[0][1] == "e-00003"


def test_disabled_person_stays_and_marked_person_is_flagged(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", enabledUser="false").with_user("u-0004", status="tobedeleted")
    people = {row["sourced_id"]: row for row in read(made, tmp_path).users.iter_rows(named=True)}
    assert (people["u-0003"]["enabled"], people["u-0003"]["status"]) == (False, "active")
    assert (people["u-0004"]["enabled"], people["u-0004"]["status"]) == (True, "tobedeleted")


def test_operating_system_leftovers_are_ignored_and_reported(tmp_path: Path) -> None:
    made = SMALL
    for name in ("__MACOSX/._users.csv", ".DS_Store", "desktop.ini", ".hidden.csv"):
        made = made.raw(name, b"x")
    snapshot = read(made.without_manifest(), tmp_path)
    assert snapshot.users.height == 10
    assert sorted(codes(snapshot.diagnostics)) == ["ignored-file", "no-manifest"]


@pytest.mark.parametrize("file", ["demographics.csv", "userProfiles.csv"])
def test_unrequested_data_is_counted_but_never_kept(tmp_path: Path, file: str) -> None:
    made = SMALL.version12().with_user("u-0003", password="hunter2", sms="555-0100")
    snapshot = read(made.raw(file, b"sourcedId,birthDate\nu-0003,2014-05-06\n"), tmp_path)
    assert snapshot.rows[file.removesuffix(".csv")] == 1
    assert {"dropped-file", "dropped-column"} <= set(codes(snapshot.diagnostics))
    frames = (
        snapshot.orgs,
        snapshot.users,
        snapshot.roles,
        snapshot.classes,
        snapshot.enrollments,
        *snapshot.waiting.values(),
    )
    everything = repr([frame.rows() for frame in frames]) + repr(snapshot.diagnostics)
    for secret in ("hunter2", "555-0100", "2014-05-06"):
        assert secret not in everything
