"""The plan on a terminal, for a reviewer: weakened protections, causes, folded changes, and the width."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from reconciler.model.kind import Kind
from reconciler.model.plan import OutsideBase, Plan
from reconciler.model.weakening import Protection, Weakening
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.text import TextOptions, render_plan_text
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples

COMMAND = "reconciler apply"
COLOR = re.compile("\x1b\\[[0-9;]*m")


def rendered(plan: Plan, **options: Any) -> str:
    facts: dict[str, Any] = {
        "width": 80,
        "wrap": True,
        "command": COMMAND,
        "closing": "Nothing was changed.",
        **options,
    }
    return render_plan_text(plan, PeopleVisibility.MASKED, samples.mask, options=TextOptions(**facts))


@pytest.mark.parametrize(
    "plan", [reviews.reviewed, reviews.folded, lambda: reviews.hostile("a|b`c <b>@x #1 https://x.y/\n\u202e")]
)
def test_a_reviewed_plan_reads_as_it_did(plan: Any, snapshot: SnapshotAssertion) -> None:
    assert rendered(plan()) == snapshot


def places(text: str, *words: str) -> list[int]:
    return [text.index(word) for word in words]


def test_totals_precede_weakening_then_all_deletions_then_the_rest() -> None:
    text = rendered(reviews.reviewed())
    assert text.startswith("3 customers · 5 people to remove, 3 of them HELD")
    order = places(text, "PROTECTION WEAKENED", "- user", "- customer", "~ customer", "+ user", "plan sha256:")
    assert order == sorted(order)
    assert "2 protections weakened" in text.split("\n\n")[0]


def test_plan_without_a_base_has_no_causes_or_id() -> None:
    text = rendered(replace(reviews.reviewed(), base=None, outside_base=None))
    assert "plan sha256:" not in text
    assert "compared with" not in text
    assert not re.search(r"\b(pr|pending|drift)\b", text)


def test_the_rest_of_the_customers_is_one_line() -> None:
    line = next(line for line in rendered(reviews.reviewed()).splitlines() if line.startswith("not in this plan"))
    assert line == "not in this plan: 2 other customers are not applied yet, 1 drifted from git."
    assert "not in this plan" not in rendered(replace(reviews.reviewed(), outside_base=OutsideBase()))
    one = rendered(replace(reviews.reviewed(), outside_base=OutsideBase(failed=1)))
    assert "not in this plan: 1 other customer is skipped because their files are invalid.\n" in one


def test_every_change_says_its_cause() -> None:
    text = rendered(reviews.reviewed())
    assert re.search(r"^~ customer +springfield +pr ", text, re.MULTILINE)
    assert re.search(r"^~ customer +shelbyville +pending ", text, re.MULTILINE)
    assert re.search(r"^~ community +shelbyville +Shelbyville +drift$", text, re.MULTILINE)


def test_same_change_of_300_customers_is_one_row_with_exceptions() -> None:
    lines = rendered(reviews.folded()).splitlines()
    place = lines.index("~ customer  retention 30d → 60d  pr, customers/defaults.yaml:12")
    assert lines[place + 1] == "    300 customers: district-0001, district-0002, district-0003 and 297 more"
    otherwise = [line.split(",")[0].strip() for line in lines if "otherwise" in line]
    assert otherwise == [
        "otherwise: district-0002 20 → 60",
        "otherwise: district-0017 20 → 60",
        "otherwise: district-0040 10 → 5",
    ]
    assert len(lines) < 60


def test_weakened_protection_names_its_people_once() -> None:
    def weakening(path: str) -> Weakening:
        return Weakening(Protection.CREDENTIALS, Kind.CUSTOMER, "x", f"rostering.sync.{path}", "a", "b")

    several = tuple(
        samples.customer(name, weakenings=tuple(map(weakening, ("host", "port"))))
        for name in ("ogdenville", "shelbyville")
    )
    lines = rendered(samples.plan(*several)).splitlines()
    begin = lines.index("PROTECTION WEAKENED")
    assert lines[begin + 2 : begin + 8] == [
        "    ogdenville",
        "      rostering.sync.host a → b",
        "      rostering.sync.port a → b",
        "    shelbyville",
        "      rostering.sync.host a → b",
        "      rostering.sync.port a → b",
    ]


def test_the_signs_have_words() -> None:
    assert "legend: - removed · ~ changed · + added or restored\n" in rendered(reviews.reviewed())
    assert "✗ exceeded" in rendered(samples.plan(samples.removals()))


def test_nothing_is_drawn_with_lines() -> None:
    assert not re.search("[\u2500-\u259f]", rendered(reviews.reviewed()) + rendered(reviews.folded()))


@given(value=st.text(max_size=60), width=st.sampled_from([80, 100]))
def test_no_line_exceeds_the_terminal_or_carries_control_codes(value: str, width: int) -> None:
    text = rendered(reviews.hostile(value), width=width, color=True)
    bare = COLOR.sub("", text)
    assert max(cell_len(line) for line in bare.split("\n")) <= width
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", bare)


def test_a_command_cut_in_two_is_still_one_command() -> None:
    text = rendered(samples.plan(samples.removals()), command="reconciler apply springfield --zip some/long/day-2.zip")
    joined = re.sub(r"\\\n *", "", text)
    assert "--zip some/long/day-2.zip --approve springfield:12:7f3a9c\n" in joined


def test_color_means_something_and_says_nothing_alone() -> None:
    plan = reviews.reviewed()
    assert COLOR.sub("", rendered(plan, color=True)) == rendered(plan)
