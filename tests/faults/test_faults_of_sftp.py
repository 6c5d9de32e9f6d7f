"""Faults 75 to 81: SFTP servers. Each case has its number and ends with all accounts intact."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.oneroster.sources.sftp import session as line
from reconciler.oneroster.sources.sftp import source
from tests.support.customers.project import Result
from tests.support.schools.by_files import DAY_ONE, STUDENTS, School, packed
from tests.support.servers import sshd
from tests.support.servers.breaking_proxy import Break, breaking
from tests.support.sources.sftp_fetch import SECRET, synced

pytestmark = pytest.mark.slow

#: Half of everybody is missing: what a bad fetch must never let through.
HALF = DAY_ONE.without_users(STUDENTS[: len(STUDENTS) // 2])
#: Of handshake, sign-in and two looks, less comes from the server.
TALK = 64 * 1024
#: Bytes that make an archive long; they are no CSV, and nobody reads them.
PADDING = 1024**2


class Partner:
    """A school with its roster on a server; `between` replaces each wait of a fetch."""

    def __init__(self, school: School, home: sshd.Home) -> None:
        self.school = school
        self.home = home
        self.between: Callable[[], object] = lambda: None

    def sync(self, path: str = "roster.zip", more: str = "", **account: object) -> None:
        synced(self.school.project, self.home.account(path, **account), more)

    def plan(self) -> Result:
        return self.school.project.plan("springfield")

    def refused(self, code: str) -> str:
        """Check that nothing is planned and an apply removes nobody; return the message."""
        before = self.school.live()
        plan = self.plan()
        customer = plan.json["customers"][0]
        assert (plan.code, customer["outcome"]) == (3, "refused"), customer["diagnostics"]
        errors = [each for each in customer["diagnostics"] if each["severity"] == "error"]
        assert [each["code"] for each in errors] == [code]
        assert errors[0]["hint"]
        assert self.school.project.apply("springfield").code == 3
        assert self.school.live() == before
        return str(errors[0]["message"])

    def good(self, code: str | None = None) -> str:
        """Check that nothing is lost and, if a code is given, that it is reported."""
        before = self.school.live()
        customer = self.plan().json["customers"][0]
        assert customer["outcome"] in ("changes", "unchanged"), customer["diagnostics"]
        assert self.school.project.apply("springfield").code == 0
        assert before <= self.school.live()
        found = [each["message"] for each in customer["diagnostics"] if each["code"] == code]
        assert bool(found) is (code is not None)
        return found[0] if found else ""


@pytest.fixture
def partner(school: School, sftp_home: sshd.Home, monkeypatch: pytest.MonkeyPatch) -> Partner:
    made = Partner(school, sftp_home)
    monkeypatch.setenv(SECRET, sftp_home.server.password)
    monkeypatch.setattr(source, "CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(line, "BACKOFF", 0.0)
    monkeypatch.setattr("reconciler.oneroster.sources.sftp.session.Deadline.wait", lambda *_: made.between())
    DAY_ONE.zip(sftp_home.path / "roster.zip")
    return made


def test_75_broken_transfer_resumes_where_it_stopped(partner: Partner) -> None:
    packed(partner.home.path / "roster.zip", ("padding.bin", os.urandom(PADDING)))
    with breaking(partner.home.server.port, Break(TALK + PADDING // 2), Break(TALK + PADDING // 4)) as proxy:
        partner.sync(port=proxy.port)
        partner.good("ignored-file")
        # Three of the plan, whose first two broke; one of the apply.
        assert proxy.connections == 4


def test_75_a_transfer_that_breaks_each_time_is_refused(partner: Partner) -> None:
    packed(partner.home.path / "roster.zip", ("padding.bin", os.urandom(PADDING)))
    with breaking(partner.home.server.port, *[Break(TALK)] * 99) as proxy:
        partner.sync(port=proxy.port)
        partner.refused("connection-lost")


def test_76_file_with_an_unfinished_name_is_not_taken(partner: Partner) -> None:
    for ending in (".filepart", ".part", ".tmp", ".partial"):
        HALF.zip(partner.home.path / f"roster-2.zip{ending}")
    partner.sync("roster*", "pick: newest")
    partner.good()
    (partner.home.path / "roster.zip").unlink()
    assert "roster-2.zip.filepart" in partner.refused("nothing-fits-pattern")


def test_76_a_file_that_still_grows_is_refused(partner: Partner) -> None:
    def grow() -> None:
        with (partner.home.path / "roster.zip").open("ab") as file:
            file.write(b"more")

    partner.between = grow
    partner.sync()
    partner.refused("still-being-uploaded")


def test_76_an_archive_without_its_end_is_refused(partner: Partner) -> None:
    path = partner.home.path / "roster.zip"
    path.write_bytes(path.read_bytes()[:-200])
    partner.sync()
    partner.refused("still-being-uploaded")


def test_76_file_without_its_done_marker_is_incomplete(partner: Partner) -> None:
    HALF.zip(partner.home.path / "roster.zip")
    partner.sync(more="done_marker: .done")
    assert "roster.zip.done" in partner.refused("done-marker-missing")


def test_76_a_file_whose_digest_differs_is_refused(partner: Partner) -> None:
    partner.home.put("roster.zip.sha256", b"0" * 64)
    partner.sync(more="done_marker: .sha256")
    partner.refused("digest-differs")


def test_76_empty_files_and_folders_are_refused(partner: Partner) -> None:
    partner.home.put("empty.zip", b"")
    partner.sync("empty.zip")
    partner.refused("remote-file-empty")
    (partner.home.path / "daily").mkdir()
    partner.sync("daily")
    partner.refused("no-csv-in-folder")


def test_77_another_host_key_is_refused_with_both_fingerprints(partner: Partner, tmp_path: Path) -> None:
    HALF.zip(partner.home.path / "roster.zip")
    partner.sync(host_key=sshd.key(tmp_path / "other", "ed25519"))
    with partner.home.server.attempts() as attempts:
        message = partner.refused("host-key-changed")
    assert message.count("SHA256:") == 2
    assert attempts == []


def test_78_rejected_sign_in_is_tried_once_a_run(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "of-last-year")
    partner.sync()
    with partner.home.server.attempts() as attempts:
        message = partner.refused("sign-in-refused")
    assert "of-last-year" not in message
    # One of the plan, one of the apply.
    assert attempts == [f"Failed password for {partner.home.server.user}"] * 2


def test_79_declared_rule_picks_one_file_and_lists_others(partner: Partner) -> None:
    os.utime(partner.home.path / "roster.zip", (1_700_000_000, 1_700_000_000))
    for name in ("roster-1.zip", "roster-2.zip"):
        os.utime(HALF.zip(partner.home.path / name), (1_600_000_000, 1_600_000_000))
    partner.sync("roster*.zip", "pick: newest")
    assert partner.good("other-files-fit").endswith("other matches: roster-2.zip, roster-1.zip")


def test_79_newer_unfinished_file_is_passed_over(partner: Partner) -> None:
    os.utime(partner.home.path / "roster.zip", (1_700_000_000, 1_700_000_000))
    partner.home.put("roster.zip.done", b"", 1_700_000_001)
    HALF.zip(partner.home.path / "roster-2.zip")
    partner.sync("roster*.zip", "pick: newest\n    done_marker: .done")
    assert "roster-2.zip" in partner.good("newer-not-done")


def test_80_a_link_out_of_the_folder_is_refused(partner: Partner) -> None:
    other = partner.home.server.home()
    HALF.zip(other.path / "theirs.zip")
    path = partner.home.path / "roster.zip"
    path.unlink()
    path.symlink_to(f"..{other.name}/theirs.zip")
    partner.sync()
    assert f"{other.name}/theirs.zip" in partner.refused("link-leaves-folder")
    (partner.home.path / "daily").symlink_to(f"..{other.name}")
    partner.sync("daily")
    partner.refused("link-leaves-folder")


def test_81_future_timestamp_does_not_outrank_a_current_file(partner: Partner) -> None:
    os.utime(HALF.zip(partner.home.path / "a.zip"), (4_000_000_000, 4_000_000_000))
    path = (partner.home.path / "roster.zip").rename(partner.home.path / "b.zip")
    os.utime(path, (4_000_000_000 - 1, 4_000_000_000 - 1))
    partner.sync("*.zip", "pick: newest")
    # Both are of the future, so neither time counts: the later name is taken.
    assert "b.zip" in partner.good("clock-skew")
