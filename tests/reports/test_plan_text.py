"""The plan on a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from reconciler.model.change import Action, FieldChange, Update
from reconciler.model.diagnostic import Span, build_error
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Freshness
from reconciler.model.reason import Reason
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.text import TextOptions, render_plan_text
from tests.support.plans import samples

COMMAND = "reconciler apply springfield --zip day-2.zip"


def rendered(*customers: CustomerPlan, people: PeopleVisibility = PeopleVisibility.FULL, **options: Any) -> str:
    facts: dict[str, Any] = {"command": COMMAND, "closing": "Nothing was changed.", **options}
    rows = facts.pop("rows", 20)
    return render_plan_text(samples.plan(*customers), people, samples.mask, rows, TextOptions(**facts))


@pytest.mark.parametrize(
    "sample",
    [
        samples.first_load,
        samples.nothing,
        samples.updates,
        samples.removals,
        samples.refused,
        samples.failed,
        samples.removed_from_git,
    ],
)
def test_a_plan_reads_as_it_did(sample: Any, snapshot: SnapshotAssertion) -> None:
    assert rendered(sample()) == snapshot


def test_several_customers_masked_read_as_they_did(snapshot: SnapshotAssertion) -> None:
    customers = (
        samples.nothing("capital-city"),
        samples.updates(),
        samples.failed(),
        replace(samples.removals(30), id="north-haverbrook"),
        samples.removed_from_git(),
    )
    assert rendered(*customers, people=PeopleVisibility.MASKED, rows=5) == snapshot


def first_line(text: str) -> str:
    return text.partition("\n")[0]


def test_first_line_says_first_who_is_removed() -> None:
    assert first_line(rendered(samples.removals())).startswith("1 customer · 14 people to remove, 12 of them HELD")


def test_a_held_customer_is_told_apart_from_held_people() -> None:
    line = first_line(rendered(samples.removals(), samples.removed_from_git()))
    assert "12 of them HELD · 1 customer to remove, HELD · 1 class, 18 enrollments to remove" in line


def test_first_line_says_when_nothing_changes() -> None:
    assert first_line(rendered(samples.nothing())) == "1 customer · nothing to change"


def test_refused_customer_is_not_called_unchanged() -> None:
    assert first_line(rendered(samples.refused(), samples.failed())) == "2 customers · 1 refused · 1 failed"


def test_one_of_each_is_said_in_the_singular() -> None:
    row = samples.gone(Kind.USER, samples.person("u-1", "Otto", "Mann"), held=True)
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [row])})
    assert first_line(rendered(customer)) == "1 customer · 1 person to remove, HELD"


def test_changed_settings_alone_stand_on_the_first_line() -> None:
    fields = (FieldChange("name", "A", "B"), FieldChange("timezone", None, "UTC"))
    update = Update(kind=Kind.CUSTOMER, key="a", label="A", reason=Reason.FIELD_CHANGED, fields=fields)
    assert (
        first_line(rendered(samples.customer("a", document_changes=(update,)))) == "1 customer · 2 settings to change"
    )


def test_the_catalogue_is_no_customer() -> None:
    update = Update(
        kind=Kind.LESSON,
        key="photosynthesis",
        label="Photosynthesis",
        reason=Reason.FIELD_CHANGED,
        fields=(FieldChange("title", "Old", "Photosynthesis"),),
    )
    text = rendered(samples.customer(CATALOG, name="", document_changes=(update,)), samples.nothing())
    assert first_line(text) == "1 customer and the catalog · 1 setting to change"
    assert "\ncatalog\n" in text
    assert CATALOG not in text


def test_the_command_that_approves_is_exact() -> None:
    assert f"To approve:  {COMMAND} --approve springfield:12:7f3a9c\n" in rendered(samples.removals())


def test_what_is_approved_is_not_asked_for_again() -> None:
    text = rendered(samples.removals(), approvals=frozenset({"springfield:12:7f3a9c"}))
    assert "Approved: this apply includes all of these changes." in text
    assert "--approve" not in text


def test_current_roster_is_not_0_hours_old() -> None:
    old = samples.source(freshness=Freshness.LAST, fetched_at=samples.plan().created_at)
    assert "less than an hour old" in rendered(replace(samples.removals(), source=old))


def test_what_is_only_shown_offers_no_command() -> None:
    old = samples.source(freshness=Freshness.LAST, fetched_at="2026-11-20T02:30:00Z")
    text = rendered(replace(samples.removals(), source=old, roster_applies=False))
    assert "--approve" not in text
    assert "last good roster, of 2026-11-20 02:30 UTC, 2 days old" in text
    assert "preview only; apply skips these changes" in text


def test_removals_stand_before_every_other_change() -> None:
    lines = [line for line in rendered(samples.removals()).splitlines() if line[:2] in ("- ", "+ ", "~ ", "> ")]
    marks = "".join(line[0] for line in lines)
    assert marks == "-" * 16 + "+"
    assert lines[15].startswith("- enrollment  18 to remove: 14 with the above, 4 others")


def test_cut_list_of_removals_counts_and_locates_the_rest() -> None:
    text = rendered(samples.removals(30), rows=5)
    assert "… 27 more people to remove; to list all: --rows 32 or --format json" in text
    assert "more people" not in rendered(samples.removals(30), rows=32)


def test_customers_with_losses_come_first_and_quiet_ones_fold() -> None:
    quiet = [samples.nothing(f"quiet-{number}") for number in range(1, 8)]
    text = rendered(*quiet, samples.refused(), samples.first_load(), samples.removed_from_git(), rows=3)
    order = [text.index(word) for word in ("HELD  ogdenville", "refused; ", "zip day-1.zip", "quiet-1:")]
    assert order == sorted(order)
    assert "quiet-3: nothing to change" in text
    assert "quiet-4" not in text
    assert "… 4 more customers with nothing to change" in text


def test_a_quiet_customer_with_something_noticed_is_not_folded() -> None:
    noticed = replace(samples.nothing("noticed"), diagnostics=samples.first_load().diagnostics)
    text = rendered(samples.nothing("one"), samples.nothing("two"), noticed, rows=1)
    assert "noticed: nothing to change" in text
    assert "[no-manifest]" in text


@pytest.mark.parametrize(
    "sample", [samples.first_load, samples.nothing, samples.updates, samples.removals, samples.removed_from_git]
)
@pytest.mark.parametrize("width", [80, 100])
def test_lines_of_changes_fit_the_terminal(sample: Any, width: int) -> None:
    text = rendered(sample(), width=width)
    table = [line for line in text.splitlines() if line.startswith(("- ", "> ", "+ ", "~ "))]
    assert max((cell_len(line) for line in table), default=0) <= width


def test_wide_characters_keep_columns_aligned() -> None:
    people = [samples.person("u-1", "明", "王"), samples.person("u-2", "Otto", "Mann")]
    rows = [samples.gone(Kind.USER, each) for each in people]
    text = rendered(samples.customer(roster={Kind.USER: samples.frame(Kind.USER, rows)}))
    lines = [line for line in text.splitlines() if line.startswith("- user")]
    columns = {cell_len(line.partition("not in")[0]) for line in lines}
    assert len(lines) == 2
    assert len(columns) == 1


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\x1b[31m", "\n", "\u2028", "\u0085", "\u200f"])
def test_a_name_cannot_turn_break_or_color_a_line(mark: str) -> None:
    row = samples.gone(Kind.USER, samples.person("u-1", f"O{mark}tto", "Mann"))
    text = rendered(samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [row])}))
    (line,) = (line for line in text.split("\n") if "tto Mann" in line)
    assert line.startswith("- user  u-1  O\\u")
    assert mark == "\n" or mark not in text


def test_a_message_cannot_color_a_line() -> None:
    refused = replace(samples.refused(), diagnostics=(build_error("odd", "a \x1b[31m b"),))
    assert "\x1b" not in rendered(refused)


def test_a_hint_that_several_rows_share_stands_once() -> None:
    rows = tuple(
        build_error("ragged-row", f"the row has {fields} fields", Span("users.csv", fields), "quote the values")
        for fields in (18, 19, 20)
    )
    text = rendered(replace(samples.nothing(), diagnostics=rows))
    assert text.count("quote the values") == 1
    assert text.index("has 20 fields") < text.index("quote the values")


def test_many_diagnostics_are_cut_and_the_rest_located() -> None:
    rows = tuple(build_error("ragged-row", "the row has 3 fields", Span("users.csv", line)) for line in range(2, 32))
    text = rendered(replace(samples.nothing(), diagnostics=rows), rows=4)
    assert text.count("[ragged-row]") == 4
    assert "… 26 more; to list all: --rows 30 or --format json" in text


def test_color_is_opt_in_and_leaves_text_unchanged() -> None:
    plain, painted = rendered(samples.removals()), rendered(samples.removals(), color=True)
    assert "\x1b" not in plain
    assert "\x1b[31m-\x1b[0m user" in painted
    for code in ("0", "1", "2", "31", "32", "33", "1;33"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == plain


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.REKEY])
def test_every_action_has_a_line(action: Action) -> None:
    row = samples.with_before(Kind.USER, samples.person("u-1", "Otto", "Mann"), grades="12")
    change = samples.change(action, Reason.FIELD_CHANGED, 2, row, manager="portal")
    text = rendered(samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [change])}))
    assert "user" in text
    assert "Otto Mann" in text


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words(reason: Reason) -> None:
    row = samples.gone(Kind.CLASS, {"key": "c-1", "label": "Algebra", "title": "Algebra"}, 7)
    change = {**row, "reason": reason.value}
    text = rendered(samples.customer(roster={Kind.CLASS: samples.frame(Kind.CLASS, [change])}))
    line = next(line for line in text.splitlines() if line.startswith("- class  c-1  Algebra  "))
    assert len(line) > len("- class  c-1  Algebra  ")


def test_changed_enrollments_are_counted_with_the_first() -> None:
    rows = [
        samples.change(
            Action.UPDATE,
            Reason.FIELD_CHANGED,
            line,
            samples.with_before(Kind.ENROLLMENT, samples.enrollment(f"e-{line}", "u-1", "c-1"), role="teacher"),
            held=line == 2,
        )
        for line in (2, 3)
    ]
    text = rendered(samples.customer(roster={Kind.ENROLLMENT: samples.frame(Kind.ENROLLMENT, rows)}))
    assert "~ enrollment" in text
    assert "2 to update · 1 of them HELD" in text
    assert "first: u-1 in c-1, enrollments.csv:2, role teacher → student" in text
