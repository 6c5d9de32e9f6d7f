"""The generated roster ZIPs of the tests."""

from pathlib import Path

import pytest

from reconciler.oneroster.bundle import read_zip
from tests.support.rosters.bundles import bundle

NOW = "2026-11-22T03:00:00Z"


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    first = bundle(users=30, seed=7).zip(tmp_path / "a.zip")
    second = bundle(users=30, seed=7).zip(tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("made", [bundle(), bundle().version12()], ids=["1.1", "1.2"])
def test_a_bundle_as_made_reads_without_a_remark(tmp_path: Path, made) -> None:
    snapshot = read_zip(made.zip(tmp_path / "roster.zip"), fetched_at=NOW)
    assert snapshot.diagnostics == ()
    assert snapshot.quarantine.height == 0
    assert snapshot.complete
    assert snapshot.version == made.version
    assert snapshot.fetched_at == NOW
    assert {stem: snapshot.rows[stem] for stem in ("orgs", "users", "classes", "enrollments")} == {
        "orgs": 3,
        "users": 100,
        "classes": 8,
        "enrollments": 200,
    }


def test_people_can_be_taken_out_changed_and_added(tmp_path: Path) -> None:
    made = bundle(users=20).without_users(["u-0003"]).with_user("u-0004", email="new@example.com").with_user("u-9")
    snapshot = read_zip(made.zip(tmp_path / "roster.zip"), fetched_at=NOW)
    users = snapshot.users
    assert "u-0003" not in users["sourced_id"]
    assert "u-0003" not in snapshot.enrollments["user"]
    assert users.filter(users["sourced_id"] == "u-0004")["email"].item() == "new@example.com"
    assert users.filter(users["sourced_id"] == "u-9")["username"].item() == "u9"
    assert snapshot.quarantine.height == 0
