"""A difference that cannot be seen is shown by its code points, in every report for people."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.change import Action, FieldChange, Update
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages.html import render_plan_html
from reconciler.reports.pages.markdown import render_plan_markdown
from reconciler.reports.plan.json import render_plan_json
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.text import TextOptions, render_plan_text
from reconciler.reports.plan.wording import format_from_to
from tests.support.plans import samples

FULL = PeopleVisibility.FULL


def render_all(plan: Plan) -> dict[str, str]:
    return {
        "text": render_plan_text(plan, FULL, samples.mask, 20, TextOptions(command="reconciler apply")),
        "markdown": render_plan_markdown(plan, FULL, samples.mask, command="reconciler apply"),
        "html": render_plan_html(plan, FULL, samples.mask, command="reconciler apply"),
    }


def update_of_a_person() -> Plan:
    row = samples.person("u-1", "Zoe\u200b", "Mann")
    row = samples.change(
        Action.UPDATE, Reason.FIELD_CHANGED, 3, samples.with_before(Kind.USER, row, given_name="Zoe\u00ad")
    )
    return samples.plan(samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [row])}))


def update_of_a_document(customers: int = 1) -> Plan:
    fields = (FieldChange("name", "Acade\u0301mie", "Acad\u00e9mie"),)
    update = Update(kind=Kind.CUSTOMER, key="a", label="A", reason=Reason.FIELD_CHANGED, fields=fields)
    return samples.plan(*(samples.customer(f"c-{each}", document_changes=(update,)) for each in range(customers)))


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_174_a_persons_value_is_revealed(form: str) -> None:
    shown = render_all(update_of_a_person())[form]
    assert "Zoe(U+00AD)" in shown
    assert "Zoe(U+200B)" in shown


@pytest.mark.parametrize("customers", [1, 5])
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_174_a_setting_is_revealed_also_if_many_customers_share_it(form: str, customers: int) -> None:
    assert "Acade(U+0301)mie" in render_all(update_of_a_document(customers))[form]


def test_174_json_has_the_values_as_they_are() -> None:
    text = render_plan_json(update_of_a_document(), FULL, samples.mask)
    assert "(U+0301)" not in str(text)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("ann", "ann\u200b", "ann → ann(U+200B)"),
        ("Ann\u00a0Lee", "Ann Lee", "Ann(U+00A0)Lee → Ann Lee"),
        (["a", "b\u00ad"], ["a", "b"], "a, b(U+00AD) → a, b"),
        ("Ann", "Anna", "Ann → Anna"),
        (None, "ann\u200b", "(none) → ann\u200b"),
        (1, 2, "1 → 2"),
    ],
)
def test_174_values_that_look_different_stay_as_they_are(before: Any, after: Any, shown: str) -> None:
    assert format_from_to(before, after) == shown


def test_180_long_values_are_shown_from_where_they_differ() -> None:
    assert format_from_to("x" * 90 + "1", "x" * 90 + "2") == "…xxxxxxxxxx1 → …xxxxxxxxxx2"
    before, after = [f"s-{number}" for number in range(50)], [f"s-{number}" for number in range(51)]
    assert format_from_to(before, after) == "…s-48, s-49 → …s-48, s-49, s-50"
