"""The catalog from plan to apply: an invalid lesson never counts as removed."""

from __future__ import annotations

import pytest

from tests.support.customers.project import Project

LESSON = "kind: lesson\nid: {id}\ntitle: About {id}\nurl: https://lessons.example/{id}\n"
BROKEN = "kind: lesson\nid: algae\ntitel: About algae\n"


@pytest.fixture
def catalogue(project: Project) -> Project:
    """Two lessons, applied, and a customer."""
    project.customer(org=None)
    for name in ("algae", "birds"):
        project.write(f"customers/lessons/{name}.yaml", LESSON.format(id=name))
    assert project.apply().code == 0
    return project


def live(project: Project) -> list[str]:
    return [slug for (slug,) in project.ask("select slug from lessons where tombstoned_at is null order by slug")]


def test_invalid_lesson_fails_the_catalog_and_removes_nothing(catalogue: Project) -> None:
    catalogue.write("customers/lessons/algae.yaml", BROKEN)

    plan = catalogue.plan()
    assert plan.code == 65
    assert {each["id"]: each["outcome"] for each in plan.json["customers"]} == {
        "@catalogue": "failed",
        "springfield": "unchanged",
    }
    assert plan.json["summary"]["delete"] == 0
    assert "customers/lessons/algae.yaml" in {
        diagnostic["file"] for each in plan.json["customers"] for diagnostic in each["diagnostics"]
    }
    assert catalogue.apply().code == 65
    assert live(catalogue) == ["algae", "birds"]


def test_a_broken_catalogue_does_not_stop_the_customers(catalogue: Project) -> None:
    catalogue.write("customers/lessons/algae.yaml", BROKEN)
    catalogue.customer(org=None, title="Another Name")

    assert catalogue.apply().code == 5
    assert catalogue.ask("select name from customers") == [("Another Name",)]
    assert live(catalogue) == ["algae", "birds"]


def test_saved_plan_is_stale_after_the_catalog_breaks(catalogue: Project) -> None:
    (catalogue.folder / "customers/lessons/algae.yaml").unlink()
    saved = catalogue.folder / "monday.plan"
    assert catalogue.run("plan", "--out", saved).code == 0
    catalogue.write("customers/lessons/algae.yaml", BROKEN)

    assert catalogue.run("apply", saved).code == 4
    assert live(catalogue) == ["algae", "birds"]


def test_the_catalogue_is_no_customer_to_be_named(catalogue: Project) -> None:
    catalogue.write("customers/lessons/algae.yaml", BROKEN)
    named = catalogue.run("plan", "@catalogue")
    assert named.code == 64
    assert "Customers: springfield" in named.err
