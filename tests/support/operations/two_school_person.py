"""A customer of two schools, and what the store knows of an account in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import Bundle, bundle

DAY_ONE = bundle(users=60)
ADA = "u-0005"
ROW = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ADA)


def configured(project: Project, match_with: str = "identifier", more: str = "") -> None:
    path = project.customer(more=more)
    path.write_text(path.read_text().replace("match_with: identifier", f"match_with: {match_with}"))


def zipped(project: Project, made: Bundle) -> Path:
    return made.zip(project.folder / "day.zip")


def planned(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", zipped(project, made))


def applied(project: Project, made: Bundle, *more: str, code: int = 0) -> Result:
    result = project.apply("springfield", "--zip", zipped(project, made), *more)
    assert result.code == code, result.out + result.err
    return result


def without(made: Bundle, *ids: str) -> Bundle:
    return made.without_users(ids)


def belongings(project: Project, sourced_id: str = ADA) -> int:
    """Gives the account a password, an LMS link and an assignment, as its owner and others would. Returns its id."""
    (account,) = project.ask(f"select account_id from identities where subject = '{sourced_id}'")[0]
    with project.by_hand() as cursor:
        cursor.execute(f"update accounts set password_hash = 'theirs' where id = {account}")
        cursor.execute(
            "insert into issuers (customer_id, name, kind) select id, 'springfield/lti/canvas', 'lti' from customers"
        )
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id) select x.id, 'canvas-7',"
            f" {account}, x.customer_id from issuers x where x.kind = 'lti'"
        )
        cursor.execute(
            "insert into assignments (customer_id, lesson_id, account_id, created_at)"
            f" select id, 1, {account}, '2026-09-01T08:00:00Z' from customers"
        )
    return int(account)


def owns(project: Project, account: int) -> bool:
    """Whether the account lives and has all that `belongings` gave it."""
    asked = {
        "accounts": f"id = {account} and password_hash = 'theirs' and tombstoned_at is null",
        "identities": f"account_id = {account} and subject = 'canvas-7'",
        "assignments": f"account_id = {account} and tombstoned_at is null",
    }
    return all(project.ask(f"select count(*) from {table} where {where}") == [(1,)] for table, where in asked.items())


def known_by(project: Project, account: int) -> list[tuple[str, int | None]]:
    return [
        (subject, alias)
        for subject, alias in project.ask(
            "select i.subject, i.alias from identities i join issuers x on x.id = i.issuer_id"
            f" where x.kind = 'roster' and i.account_id = {account} order by i.alias is not null, i.subject"
        )
    ]


def accounts(project: Project) -> int:
    return int(project.ask("select count(*) from accounts where managed_by = 'roster' and tombstoned_at is null")[0][0])


def user_changes(plan: Result) -> list[tuple[str, str, bool]]:
    return [(each["action"], each["key"], each["held"]) for each in changes(plan, "user")]


def hold_of(plan: Result) -> Any:
    return plan.json["customers"][0]["hold"]
