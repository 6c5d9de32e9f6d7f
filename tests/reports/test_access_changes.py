"""Settings that give or move access have a heading of their own, beside the weakened protections."""

from __future__ import annotations

import json
import re

import pytest

from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.weakening import Protection, Weakening
from reconciler.reports.pages import render_plan_html, render_plan_markdown
from reconciler.reports.plan.json import render_plan_json
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.text import render_plan_text
from tests.support.plans import samples

ACCESS = frozenset(("administrators", "launches", "join_links", "lesson_url", "merges", "contact"))


def plan_of(*protections: Protection) -> Plan:
    weakenings = tuple(Weakening(each, Kind.CUSTOMER, "springfield", f"path.{each}", 1, 2) for each in protections)
    return samples.plan(samples.customer("springfield", weakenings=weakenings))


def render(plan: Plan) -> dict[str, str]:
    masked = PeopleVisibility.MASKED
    return {
        "text": render_plan_text(plan, masked, samples.mask),
        "markdown": render_plan_markdown(plan, masked, samples.mask),
        "html": re.sub(r"<style>.*?</style>", "", render_plan_html(plan, masked, samples.mask), flags=re.S),
    }


def find_headings(text: str) -> list[str]:
    return re.findall(r"(?im)^(?:#### |<h2[^>]*>)?(protections? weakened|access changed)(?:</h2>)?$", text)


@pytest.mark.parametrize("protection", Protection)
def test_199_each_setting_is_below_the_heading_that_fits(protection: Protection) -> None:
    for output, text in render(plan_of(protection)).items():
        (heading,) = find_headings(text)
        assert (heading.lower() == "access changed") is (protection in ACCESS), output
        assert protection.sentence.split("'")[0] in text


def test_199_both_are_counted_on_the_first_line() -> None:
    plan = plan_of(Protection.LIMIT, Protection.ADMINISTRATORS, Protection.LAUNCHES)
    for output, text in render(plan).items():
        assert "1 protection weakened · 2 changes of access" in text, output
        assert [each.lower().rstrip("s") for each in find_headings(text)] in (
            ["protection weakened", "access changed"],
            ["protections weakened", "access changed"],
        )
    summary = json.loads(render_plan_json(plan, PeopleVisibility.MASKED, samples.mask))["summary"]
    assert (summary["weakened"], summary["access"]) == (3, 2)
