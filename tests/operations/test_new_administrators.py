"""Configured administrators: first passwords, and invitations without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


def test_unwritable_invitations_are_reported_as_lost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one customer: what becomes of the other is told all the same."""
    for name in ("shelbyville", "springfield"):
        project.customer(name, org=None)
    opened = os.open

    def full(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name.startswith("invitations-shelbyville"):
            raise OSError(28, "No space left on device", str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    applied = project.apply()
    assert applied.code == 1
    assert "shelbyville: applied (run 1)" in applied.out
    assert "invitation links of 1 new administrator could not be written: No space left on device" in applied.err
    assert "To create new links" in applied.err
    assert "springfield: applied (run 2)" in applied.out
    assert "/invitation/" in (project.folder / "invitations-springfield-run-2.txt").read_text()
    assert "/invitation/" not in applied.out + applied.err


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
