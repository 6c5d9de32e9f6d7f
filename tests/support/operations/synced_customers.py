"""Customers whose rosters are fetched by themselves, and what a sync of them says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import clock
from reconciler.model.diagnostic import Refusal, build_error
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import bundle

DAY = bundle(users=40)
STUDENTS = DAY.students()
DAILY = ', frequency: auto, period: daily, at: "02:30"'
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = timedelta(days=1)


def people(project: Project, name: str = "springfield") -> int:
    return int(
        project.ask(
            "select count(*) from accounts a join customers c on c.id = a.customer_id where a.managed_by = 'roster'"
            f" and a.tombstoned_at is null and c.slug = '{name}'"
        )[0][0]
    )


def synced(project: Project, *arguments: str, at: datetime = MONDAY) -> Result:
    with clock.freeze_time(at):
        return project.run("sync", "--format", "json", *arguments)


def only(result: Result) -> Any:
    (found,) = result.json["customers"]
    return found


def outcomes(result: Result) -> dict[str, str]:
    return {each["id"]: each["outcome"] for each in result.json["customers"]}


def codes(customer: Any) -> set[str]:
    return {each["code"] for each in customer["diagnostics"]}


def refused(code: str = "host-unreachable") -> Refusal:
    return Refusal([build_error(code, "no connection to the server")])
