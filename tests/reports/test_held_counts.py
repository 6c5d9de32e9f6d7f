"""Every format counts what is held alike."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from reconciler.model.change import Action
from reconciler.model.ids import HoldId
from reconciler.model.kind import Kind
from reconciler.model.plan import Hold, Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages import html, markdown
from reconciler.reports.plan import json as as_json
from reconciler.reports.plan import text
from reconciler.reports.plan.people import PeopleVisibility
from tests.support.plans import samples


def plan_of(held: int, total: int, people: int) -> Plan:
    rows = [
        samples.change(
            Action.DELETE,
            Reason.ROSTER_ROW_MISSING,
            0,
            samples.enrollment(f"e-{number:05}", f"u-{number}", "c-1"),
            held=number < held,
        )
        for number in range(total)
    ]
    hold = Hold(HoldId(f"springfield:{people}:0123456789abcdef"), people, held, ("Too many.",))
    roster = {Kind.ENROLLMENT: samples.frame(Kind.ENROLLMENT, rows)}
    customer = samples.customer(roster=roster, counts=samples.counted(roster))
    return samples.plan(replace(customer, hold=hold))


def render_all(plan: Plan) -> dict[str, str]:
    renderers = {
        "text": text.render_plan_text,
        "markdown": markdown.render_plan_markdown,
        "html": html.render_plan_html,
        "json": as_json.render_plan_json,
    }
    written = {name: render(plan, PeopleVisibility.MASKED, samples.mask) for name, render in renderers.items()}
    for name in ("markdown", "html"):
        written[name] = re.sub(r"<title>.*?</title>|<[^>]+>|[*`]", "", written[name], flags=re.DOTALL)
    return written


@pytest.mark.parametrize(("held", "total"), [(1_200, 1_500), (1, 2), (3, 3)])
@pytest.mark.parametrize("people", [0, 7])
def test_160_formats_agree_on_what_is_held(held: int, total: int, people: int) -> None:
    written = render_all(plan_of(held, total, people))
    assert json.loads(written["json"])["summary"]["held"] == held
    changes = f"{held:,} change{'s' if held > 1 else ''}"
    size = f"{people} people, {changes} in all" if people else changes
    for name in ("text", "markdown", "html"):
        assert size in written[name], name
        # Once in the headline, which gives the number even if all are held, and once in the row of the enrollments.
        numbered = f"{held:,} of them HELD"
        assert written[name].count(numbered) == (2 if held < total else 1), name
        assert people or "in all" not in written[name], name
