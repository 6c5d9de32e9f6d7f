"""The formats of a plan, from the command line."""

from __future__ import annotations

import pytest

from tests.support.customers.project import Project


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("markdown", "<!-- reconciler -->\n### reconciler: 1 customer · "), ("html", "<!DOCTYPE html>\n")],
)
def test_plan_and_show_report_the_same_plan_alike(project: Project, form: str, beginning: str) -> None:
    project.customer(org=None)
    planned = project.run("plan", "--format", form, "--out", "saved.plan")
    assert (planned.code, planned.out[: len(beginning)]) == (0, beginning)
    shown = project.run("show", "./saved.plan", "--format", form)
    assert shown.out == planned.out


def test_a_report_for_a_review_names_no_administrator(project: Project) -> None:
    path = project.customer(org=None)
    project.run("apply", "--yes")
    path.write_text(path.read_text(encoding="utf-8").replace("ada@", "ada.byron@"), encoding="utf-8")
    planned = project.run("plan", "--format", "markdown")
    assert "administrators.P-" in planned.out
    assert "ada" not in planned.out
    assert "ada.byron" in project.run("plan", "--format", "markdown", "--people", "full").out


def test_the_address_of_the_whole_report_is_an_option(project: Project) -> None:
    project.customer(org=None)
    planned = project.run("plan", "--format", "markdown", "--full-report", "https://ci.example/7", "--rows", "0")
    assert planned.code == 0
    assert "](<https://ci.example/7>)" in planned.out
