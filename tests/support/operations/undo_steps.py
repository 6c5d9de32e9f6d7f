"""Applies and undoes runs through the commands and reads the people in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import Bundle, bundle

DAY_ONE = bundle(users=40)
STUDENTS = DAY_ONE.students()
ANN, BEN, EVE, *_ = STUDENTS


def loaded(project: Project) -> Project:
    """Run 1: Springfield with forty people."""
    project.customer()
    applied(project, DAY_ONE)
    return project


def applied(project: Project, made: Bundle, *more: str, code: int = 0, customer: str = "springfield") -> int:
    """Applies the roster and returns its run."""
    result = project.apply(customer, "--zip", made.zip(project.folder / "day.zip"), *more)
    assert result.code == code, result
    return last_run(project)


def last_run(project: Project) -> int:
    return int(project.ask("select max(id) from runs")[0][0])


def undo(project: Project, run: int, *more: str | Path, code: int = 0) -> Result:
    result = project.run("undo", str(run), *(() if "--out" in more else ("--yes",)), *more)
    assert result.code == code, result
    return result


def planned(project: Project, run: int) -> Result:
    """The undo's plan as JSON, everybody by name; nothing is done."""
    return undo(project, run, "--out", project.folder / "undo.plan", "--format", "json", "--people", "full")


def codes(plan: Result) -> dict[str, list[str]]:
    """The messages of its diagnostics by code."""
    found: dict[str, list[str]] = {}
    for each in plan.json["customers"][0]["diagnostics"]:
        found.setdefault(each["code"], []).append(each["message"])
    return found


def is_as_of(project: Project, made: Bundle) -> bool:
    """Whether a plan of this roster has nothing to do."""
    return project.plan("springfield", "--zip", made.zip(project.folder / "check.zip")).code == 0


def account(project: Project, key: str) -> tuple[Any, ...]:
    """id, username, email, status, whether it lives."""
    rows = project.ask(
        "select a.id, a.username, a.email, a.status, a.tombstoned_at is null from accounts a"
        f" join identities i on i.account_id = a.id where i.subject = '{key}'"
    )
    return (*rows[0][:4], bool(rows[0][4])) if rows else ()


def enrollments(project: Project, key: str) -> list[tuple[Any, ...]]:
    return project.ask(
        "select e.id, e.role from enrollments e join identities i on i.account_id = e.account_id"
        f" where i.subject = '{key}' and e.tombstoned_at is null order by e.id"
    )
