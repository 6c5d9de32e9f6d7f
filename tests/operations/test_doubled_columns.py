"""A column that repeats a value of its row's document cannot differ from it unseen."""

from __future__ import annotations

import pytest

from tests.support.customers.project import Project

COMMUNITY = """\
kind: community
id: north
name: North
site_license: {seats: 9, starts: 2026-08-01, ends: 2027-07-31}
"""
LESSON = "kind: lesson\nid: cells\ntitle: Cells\nurl: https://lessons.example/cells\n"


@pytest.fixture
def springfield(project: Project) -> Project:
    project.customer(org=None)
    project.write("customers/springfield/communities/north.yaml", COMMUNITY)
    project.write("customers/springfield/lessons/cells.yaml", LESSON)
    project.write("customers/lessons/cells-2.yaml", LESSON.replace("id: cells", "id: cells-2"))
    assert project.apply().code == 0
    return project


@pytest.mark.parametrize(
    ("statement", "kind", "path", "values"),
    [
        ("UPDATE customers SET status = 'deactivated'", "customer", "status", ("deactivated", "active")),
        ("UPDATE customers SET name = 'Other'", "customer", "name", ("Other", "Springfield District")),
        (
            "UPDATE customers SET document = replace(document, 'Springfield District', 'Other')",
            "customer",
            "name",
            ("Other", "Springfield District"),
        ),
        ("UPDATE communities SET name = 'South'", "community", "name", ("South", "North")),
        ("UPDATE lessons SET title = 'Bones' WHERE slug = 'cells'", "lesson", "title", ("Bones", "Cells")),
        ("UPDATE lessons SET title = 'Bones' WHERE slug = 'cells-2'", "lesson", "title", ("Bones", "Cells")),
    ],
)
def test_158_column_written_by_hand_is_drift_and_is_reverted(
    springfield: Project, statement: str, kind: str, path: str, values: tuple[str, str]
) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(statement)
    plan = springfield.plan()
    [change] = [each for customer in plan.json["customers"] for each in customer["changes"]]
    assert (change["kind"], change["cause"]) == (kind, "drift")
    assert [(each["path"], each["before"], each["after"]) for each in change["fields"]] == [(path, *values)]
    assert springfield.apply().code == 0
    assert springfield.plan().code == 0
    table = {"customer": "customers", "community": "communities", "lesson": "lessons"}[kind]
    assert (values[0],) not in springfield.ask(f"SELECT {path} FROM {table}")
    assert not any(values[0] in text for (text,) in springfield.ask(f"SELECT document FROM {table}"))
