"""Configured administrators: first passwords, and invitations without one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.invitations import InvitationFiles
from reconciler.model.diagnostic import Refusal, build_error
from tests.support.customers.project import Project

ADA = "given_name: Ada, family_name: Byron, email: ada@springfield.example, username: ada, role: admin"
ZED = "given_name: Zed, family_name: Quill, email: zed@springfield.example, username: zed.quill, role: admin"
PASSWORD = ", password: {secret: admin-password}"
VARIABLE = "RECONCILER_SECRET__SPRINGFIELD__ADMIN_PASSWORD"


def replaced(project: Project, old: str, new: str) -> None:
    path = project.folder / "customers/springfield/customer.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def administrators(project: Project) -> list[str]:
    asked = "select username from accounts where managed_by = 'config' and tombstoned_at is null order by username"
    return [username for (username,) in project.ask(asked)]


def test_replacing_every_administrator_needs_a_set_password(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.customer(org=None)
    replaced(project, ADA, ADA + PASSWORD)
    monkeypatch.setenv(VARIABLE, "first password of ada")
    assert project.apply("springfield").code == 0
    replaced(project, ADA + PASSWORD, ZED + ", password: {secret: zeds-own}")

    assert "secret-not-set" in project.plan("springfield").out
    applied = project.apply("springfield")
    assert applied.code == 1
    assert "secret-not-set" in applied.err
    assert administrators(project) == ["ada"]
    assert list(project.folder.glob("invitations-*")) == [], "nobody is invited in place of a password"


def test_password_of_an_existing_account_may_be_unset(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.customer(org=None)
    replaced(project, ADA, ADA + PASSWORD)
    monkeypatch.setenv(VARIABLE, "first password of ada")
    assert project.apply("springfield").code == 0
    monkeypatch.delenv(VARIABLE)
    replaced(project, "family_name: Byron", "family_name: King")

    assert project.apply("springfield").code == 0
    assert project.ask("select family_name from accounts") == [("King",)]


@pytest.mark.parametrize("form", ["json", "text"])
def test_masked_plan_names_no_administrator_without_a_password(project: Project, form: str) -> None:
    project.customer(org=None)
    replaced(project, ADA, ZED + PASSWORD)

    plan = project.run("plan", "--format", form, "--people", "masked")
    assert "secret-not-set" in plan.out
    assert "secret admin-password of springfield is not set here" in plan.out
    assert "zed" not in plan.out + plan.err


def test_invitations_never_overwrite_an_existing_file(project: Project) -> None:
    for name in ("shelbyville", "springfield"):
        project.customer(name, org=None)
    project.write("invitations-shelbyville-run-1.txt", "older")
    project.write("invitations-springfield-run-2.txt", "older")
    (project.folder / "invitations-springfield-run-2-2.txt").symlink_to(project.folder / "nowhere")

    applied = project.apply()
    assert applied.code == 0
    for name in ("invitations-shelbyville-run-1-2.txt", "invitations-springfield-run-2-3.txt"):
        assert name in applied.out
        assert "/invitation/" in (project.folder / name).read_text()
        assert (project.folder / name).stat().st_mode & 0o777 == 0o600
    assert (project.folder / "invitations-shelbyville-run-1.txt").read_text() == "older"
    assert not (project.folder / "nowhere").exists()


@pytest.mark.parametrize("failing", ["open", "fsync"])
def test_146_customer_is_not_applied_if_its_invitations_cannot_be_written(
    project: Project, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The other customer is applied all the same."""
    for name in ("shelbyville", "springfield"):
        project.customer(name, org=None)
    opened, synced = os.open, os.fsync

    def open_on_full_disk(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name.startswith("invitations-shelbyville"):
            raise OSError(28, "No space left on device", str(path))
        return opened(path, flags, mode)

    def sync_on_full_disk(file: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{file}")).name.startswith("invitations-shelbyville"):
            raise OSError(28, "No space left on device")
        synced(file)

    with monkeypatch.context() as full:
        full.setattr(os, failing, open_on_full_disk if failing == "open" else sync_on_full_disk)
        applied = project.apply()
    assert applied.code == 5
    assert "shelbyville: failed; nothing was changed" in applied.out
    assert "links of shelbyville cannot be written to this folder: No space left on device" in applied.err
    assert "springfield: applied" in applied.out
    assert project.ask("SELECT slug FROM customers") == [("springfield",)]
    [written] = project.folder.glob("invitations-*")
    assert "/invitation/" in written.read_text()
    assert "/invitation/" not in applied.out + applied.err

    assert "shelbyville: applied" in project.run("apply", "--yes", "shelbyville").out


def test_146_file_of_a_run_that_was_not_written_is_deleted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.customer(org=None)
    written: list[Path] = []

    def fail_after_writing(files: InvitationFiles, customer: str, run: int, invitations: Any) -> None:
        write(files, customer, run, invitations)
        written.extend(files.paths.values())
        raise Refusal([build_error("busy", "the store is busy")])

    write = InvitationFiles.write
    monkeypatch.setattr(InvitationFiles, "write", fail_after_writing)
    assert project.apply().code == 1
    assert len(written) == 1
    assert list(project.folder.glob("invitations-*")) == []
    assert project.ask("SELECT slug FROM customers") == []


def test_146_plan_says_how_many_invitations_are_made(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def announced() -> list[str]:
        plan = project.plan()
        return [each["message"] for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "invitations"]

    project.customer(org=None)
    replaced(project, f"  - {{{ADA}}}\n", f"  - {{{ADA}}}\n  - {{{ZED}}}\n")
    assert announced() == ["apply makes 2 invitation links for administrators without a password"]
    assert project.apply().code == 0
    replaced(project, f"  - {{{ZED}}}\n", "")
    assert announced() == []
    assert project.apply().code == 0
    replaced(project, f"  - {{{ADA}}}\n", f"  - {{{ADA}}}\n  - {{{ZED}}}\n")
    assert announced() == ["apply makes 1 invitation link for an administrator without a password"]
    assert project.apply().code == 0
    monkeypatch.setenv(VARIABLE, "first password of eve")
    eve = ZED.replace("zed", "eve")
    replaced(project, f"  - {{{ZED}}}\n", f"  - {{{ZED}}}\n  - {{{eve}{PASSWORD}}}\n")
    assert announced() == []


def test_147_invite_makes_a_new_link_and_ends_earlier_ones(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.customer(org=None)
    assert project.apply().code == 0
    [first] = project.folder.glob("invitations-*")
    made = project.run("invite", "springfield", "ada")
    assert (made.code, made.out) == (0, "invitation link: invitations-springfield.txt (the only copy)\n")
    file = project.folder / "invitations-springfield.txt"
    assert file.stat().st_mode & 0o777 == 0o600
    username, _, link = file.read_text().strip().partition(": ")
    token = link.rpartition("/")[2]
    assert username == "ada"
    assert token not in first.read_text()
    assert project.ask("SELECT token_hash FROM invitations") == [(hashlib.sha256(token.encode()).hexdigest(),)]
    assert project.plan().code == 0

    monkeypatch.setattr(os, "fsync", lambda file: os.read(-1, 1))
    refused = project.run("invite", "springfield", "ada")
    assert (refused.code, "[invitations-unwritable]" in refused.err) == (1, True)
    assert project.ask("SELECT count(*) FROM invitations WHERE used_at IS NULL") == [(1,)]
    assert sorted(each.name for each in project.folder.glob("invitations-*")) == sorted([first.name, file.name])


@pytest.mark.parametrize(
    ("customer", "username", "code"),
    [("shelbyville", "ada", 64), ("springfield", "nobody.here", 1), ("springfield", "ADA", 1)],
)
def test_147_invite_refuses_who_is_no_administrator(project: Project, customer: str, username: str, code: int) -> None:
    project.customer(org=None)
    assert project.apply().code == 0
    refused = project.run("invite", customer, username)
    assert refused.code == code
    assert ("unknown-customer" if code == 64 else "unknown-administrator") in refused.err
    assert username not in refused.err
    assert project.ask("SELECT count(*) FROM invitations") == [(1,)]


def test_lost_invitations_can_be_made_again_as_described(project: Project) -> None:
    project.customer(org=None)
    replaced(project, f"  - {{{ADA}}}\n", f"  - {{{ADA}}}\n  - {{{ZED}}}\n")
    assert project.apply("springfield").code == 0
    lost = (project.folder / "invitations-springfield-run-1.txt").read_text()

    replaced(project, f"  - {{{ZED}}}\n", "")
    assert project.apply("springfield").code == 0
    replaced(project, f"  - {{{ADA}}}\n", f"  - {{{ADA}}}\n  - {{{ZED}}}\n")
    assert project.apply("springfield").code == 0
    again = (project.folder / "invitations-springfield-run-3.txt").read_text()
    assert again.startswith("zed.quill: ")
    assert again not in lost


@pytest.mark.parametrize("has_password", [False, True])
def test_201_undo_says_how_many_invitations_it_makes(project: Project, has_password: bool) -> None:
    """Of an administrator who was removed before, or after, choosing a password."""
    project.customer(org=None)
    replaced(project, f"  - {{{ADA}}}\n", f"  - {{{ADA}}}\n  - {{{ZED}}}\n")
    assert project.apply().code == 0
    if has_password:
        with project.by_hand() as cursor:
            cursor.execute("UPDATE accounts SET password_hash = 'x' WHERE username = 'zed.quill'")
    replaced(project, f"  - {{{ZED}}}\n", "")
    assert project.apply().code == 0
    ((run,),) = project.ask("SELECT max(id) FROM runs")
    before = len(list(project.folder.glob("invitations-*")))

    undone = project.run("undo", str(run), "--yes")
    assert undone.code == 0, undone.err
    said = "the password stays, so that no invitation link is made" if has_password else "and makes 1 invitation link"
    assert f"undo brings back 1 administrator{'; ' if has_password else ' '}{said}" in undone.out
    assert len(list(project.folder.glob("invitations-*"))) - before == (not has_password)


def test_201_undo_of_a_deactivation_makes_none(project: Project) -> None:
    path = project.customer(org=None)
    assert project.apply().code == 0
    path.write_text(path.read_text() + "status: deactivated\n")
    plan = project.plan().json["customers"][0]
    project.apply("springfield", *(["--approve", plan["hold"]["id"]] if plan["hold"] else []))
    ((run,),) = project.ask("SELECT max(id) FROM runs")
    undone = project.run("undo", str(run), "--yes")
    assert (undone.code, "invitation" in undone.out) == (0, False), undone.err
    assert project.ask("SELECT status FROM customers") == [("active",)]
