"""An account that goes into another, as each report says it, and what of it is hidden where people are."""

from __future__ import annotations

from reconciler.model.change import Delete, FieldChange
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.reports.plan.entries import build_change_entry
from reconciler.reports.plan.people import CustomerView, PeopleVisibility, is_personal_field
from reconciler.reports.plan.tables import build_table_line
from reconciler.reports.plan.wording import REASONS

GONE = Delete(
    kind=Kind.USER,
    key="s-2",
    label="Ada Byron",
    reason=Reason.MERGED,
    origin=Span("customers/springfield/customer.yaml", 31),
    impact={"classes": 2, "assignments": 1, "lti_links": 1},
    into="s-1",
)
ENTRIES = [{"keep": "s-1", "merge": "s-2", "reason": "Ada Byron came twice"}]


def test_terminal_names_the_merge_target_contents_and_line() -> None:
    shown = build_table_line(GONE)
    assert (shown.mark, shown.note) == ("-", "merged into s-1")
    assert "2 classes, 1 assignment, 1 LMS link" in shown.details[0]
    assert shown.details[1] == "merged, customers/springfield/customer.yaml:31"


def test_a_page_says_it_as_well() -> None:
    shown = build_change_entry("springfield", GONE)
    assert (shown.verb, shown.why, shown.notes[0]) == ("remove", "merged", "into s-1")


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) == set(Reason)


def test_masked_report_reveals_only_that_entries_changed() -> None:
    change = FieldChange("rostering.merges", [], ENTRIES)
    shown = CustomerView(PeopleVisibility.MASKED, lambda kind, customer, key: "P-1", "springfield").mask_field(change)
    assert "s-1" not in str(shown)
    assert "Ada" not in str(shown)
    assert is_personal_field(change)
    assert (
        CustomerView(PeopleVisibility.FULL, lambda kind, customer, key: "P-1", "springfield").mask_field(change)
        == change
    )
