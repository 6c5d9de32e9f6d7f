"""Renames a customer's folder, and lists all that its people have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.customers.project import Project

LTI = """\
lti:
  platforms:
    - {id: canvas, version: "1.1", consumer_key: c-1, shared_secret: {secret: canvas}, origins: ["https://lms.example"], community: high}
    - {id: moodle, version: "1.1", consumer_key: m-1, shared_secret: {generated: true}, origins: ["https://moodle.example"], community: high}
"""  # noqa: E501


def renamed(project: Project, monkeypatch: pytest.MonkeyPatch, more: str = LTI) -> None:
    """The folder is moved, and says what it was called."""
    monkeypatch.setenv("RECONCILER_SECRET__SHELBYVILLE__CANVAS", "first")
    folder = project.folder / "customers"
    (folder / "springfield").rename(folder / "shelbyville")
    project.customer("shelbyville", more=f"previously: [springfield]\n{more}", title="Springfield District")
    path = folder / "shelbyville/customer.yaml"
    path.write_text(path.read_text().replace("ada@shelbyville", "ada@springfield"))


def everything(project: Project) -> list[list[tuple[Any, ...]]]:
    """All that people have, by the store's own ids."""
    return [
        project.ask(statement)
        for statement in (
            "select id, username, status, password_hash, managed_by, tombstoned_at from accounts order by id",
            "select i.subject, i.account_id, x.kind, x.id from identities i join issuers x on x.id = i.issuer_id"
            " order by i.id",
            "select account_id, community_id, role, source from memberships order by 1, 2, 3",
            "select id, lesson_id, account_id from assignments order by id",
            "select id, class_id, account_id, tombstoned_at from enrollments order by id",
            "select customer_id, sha256 from snapshots",
            "select id, tombstoned_at from communities order by id",
            "select id, tombstoned_at from lessons order by id",
        )
    ]


def moved(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is moved, and nothing says so."""
    renamed(project, monkeypatch)
    path = project.folder / "customers/shelbyville/customer.yaml"
    path.write_text(path.read_text().replace("previously: [springfield]\n", ""))


def add_former_id(project: Project) -> None:
    path = project.folder / "customers/shelbyville/customer.yaml"
    path.write_text(path.read_text().replace("name: Springfield", "previously: [springfield]\nname: Springfield"))
