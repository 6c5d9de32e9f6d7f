"""What a masked report, and one of ids, keep to themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.change import FieldChange, Update
from reconciler.model.diagnostic import Diagnostic, Span, build_error, build_warning
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Plan
from reconciler.model.reason import Reason
from reconciler.reports.pages import html, markdown
from reconciler.reports.plan import json as as_json
from reconciler.reports.plan import text
from reconciler.reports.plan.people import HIDDEN, CustomerView, PeopleVisibility
from tests.support.plans import samples

NAMES = ("Simpson", "Van Houten", "Krabappel", "Otto", "Wiggum", "Muntz", "Flanders", "Prince", "Jimbo")
ADDRESSES = ("@springfield", "agnes", "seymour", "Seymour", "100077", "todd")
KEYS = ("u-1041", "u-2207", "u-212", "u-5001", "u-77", "n-77", "u-12", "e-1")
Render = Callable[[Plan, PeopleVisibility, Any], str]


def everything() -> Plan:
    return samples.plan(samples.first_load(), samples.updates(), samples.removals())


@pytest.mark.parametrize(
    "render", [as_json.render_plan_json, text.render_plan_text, markdown.render_plan_markdown, html.render_plan_html]
)
@pytest.mark.parametrize("secret", [*NAMES, *ADDRESSES, *KEYS])
def test_masked_report_shows_no_name_address_or_sourced_id(render: Render, secret: str) -> None:
    written = render(everything(), PeopleVisibility.MASKED, samples.mask).replace("Springfield Unified", "")
    words = set(re.split(r"[\s\"',<>`|]+", written))
    assert secret not in words if secret in KEYS else secret not in written


@pytest.mark.parametrize(
    "render", [as_json.render_plan_json, text.render_plan_text, markdown.render_plan_markdown, html.render_plan_html]
)
@pytest.mark.parametrize("secret", [*NAMES, *ADDRESSES])
def test_report_of_ids_shows_no_name_or_address(render: Render, secret: str) -> None:
    assert secret not in render(everything(), PeopleVisibility.IDS, samples.mask)


@pytest.mark.parametrize(
    "render", [as_json.render_plan_json, text.render_plan_text, markdown.render_plan_markdown, html.render_plan_html]
)
def test_a_report_of_ids_shows_sourced_ids(render: Render) -> None:
    written = render(everything(), PeopleVisibility.IDS, samples.mask)
    assert "u-1041" in written
    assert "u-77" in written


def changes(customer: CustomerPlan) -> list[dict[str, Any]]:
    document = json.loads(as_json.render_plan_json(samples.plan(customer), PeopleVisibility.MASKED, samples.mask))
    found: list[dict[str, Any]] = document["customers"][0]["changes"]
    return found


def test_person_has_one_pseudonym_throughout_a_plan() -> None:
    found = changes(samples.removals())
    lisa = samples.mask(Kind.USER, "springfield", "u-1041")
    assert found[0]["key"] == found[0]["label"] == lisa
    enrollment = next(change for change in found if change["label"] == f"{lisa} in c-88")
    assert enrollment["key"].startswith("E-")


def test_a_masked_field_tells_only_whether_it_is_set() -> None:
    martin = next(change for change in changes(samples.updates()) if change["cause"] == "drift")
    values = {field["path"]: (field["before"], field["after"]) for field in martin["fields"]}
    assert values["email"] == (None, HIDDEN)
    assert values["given_name"] == (HIDDEN, HIDDEN)
    assert values["grades"] == ("04", "05")


def test_a_masked_rekey_has_two_pseudonyms() -> None:
    rekey = next(change for change in changes(samples.updates()) if change["action"] == "rekey")
    before, after = (samples.mask(Kind.USER, "springfield", key) for key in ("u-77", "n-77"))
    assert rekey["fields"] == [{"path": "sourced_id", "before": before, "after": after, "cause": None}]


def view(people: PeopleVisibility = PeopleVisibility.MASKED) -> CustomerView:
    return CustomerView(people, samples.mask, "springfield")


@pytest.mark.parametrize(
    ("path", "ending", "hidden"),
    [
        ("administrators.agnes.skinner.email", ".email", True),
        ("administrators.agnes.skinner.role", ".role", False),
        ("administrators.agnes.skinner.password.secret", ".password.secret", False),
        ("administrators.agnes.skinner", "", True),
        ("administrators.agnes.email.skinner", "", True),
    ],
)
def test_a_path_of_an_administrator_hides_the_username(path: str, ending: str, hidden: bool) -> None:
    shown = view().mask_field(FieldChange(path, "before", "after", personal=True))
    assert "agnes" not in shown.path
    assert "skinner" not in shown.path
    assert shown.path.endswith(ending)
    assert (shown.before == HIDDEN) is hidden


def test_administrators_as_one_list_are_hidden() -> None:
    shown = view().mask_field(FieldChange("administrators", [{"email": "a@b.example"}], None))
    assert (shown.before, shown.after) == (HIDDEN, None)


def test_protected_people_are_pseudonyms_in_a_masked_setting() -> None:
    shown = view().mask_field(FieldChange("rostering.protect", ["u-1"], ["u-1", "u-2"]))
    one, two = (samples.mask(Kind.USER, "springfield", key) for key in ("u-1", "u-2"))
    assert (shown.before, shown.after) == ([one], [one, two])


ROW = build_error("unknown-role", 'role "wizard" of u-212', Span("users.csv", 212, 6), "u-212 stays")


@pytest.mark.parametrize("people", [PeopleVisibility.MASKED, PeopleVisibility.IDS])
@pytest.mark.parametrize("file", ["users.csv", "Enrollments.CSV", "export/roles.csv", "userProfiles.csv"])
def test_row_diagnostic_keeps_code_and_place_without_text(people: PeopleVisibility, file: str) -> None:
    shown = view(people).mask_diagnostic(build_error(ROW.code, ROW.message, Span(file, 212, 6), ROW.hint))
    assert "u-212" not in str(shown)
    assert shown.span == Span(file, 212, 6)
    assert shown.code == "unknown-role"


@pytest.mark.parametrize(
    "diagnostic",
    [
        build_warning("no-manifest", "no manifest", Span("day-2.zip")),
        build_warning("administrator-kept", "2 administrators are not in the roster", Span("users.csv")),
        build_error("emptied-file", "users.csv has no rows", Span("users.csv", 1)),
        build_error("dangling-reference", 'school "s-9" is not in orgs.csv', Span("classes.csv", 4)),
        build_error("invalid-choice", "match_with must be", Span("customers/springfield/customer.yaml", 31, 5)),
        build_error("locked", "another apply is running"),
    ],
)
def test_a_diagnostic_that_names_nobody_keeps_its_text(diagnostic: Diagnostic) -> None:
    assert view().mask_diagnostic(diagnostic) == diagnostic


def test_a_hint_that_repeats_the_header_is_dropped() -> None:
    """A file without a header has a person's row in its place."""
    missing = build_error("missing-column", "columns are missing: role", Span("users.csv", 1), "has Lisa, Simpson")
    shown = view().mask_diagnostic(missing)
    assert (shown.message, shown.hint) == (missing.message, None)


@pytest.mark.parametrize("code", ["unknown-column", "header-spelling", "renamed-column", "duplicate-header"])
def test_what_quotes_a_header_is_hidden(code: str) -> None:
    assert "Lisa" not in str(view().mask_diagnostic(build_warning(code, "columns: Lisa", Span("users.csv", 1))))


def test_a_full_report_keeps_every_text() -> None:
    assert view(PeopleVisibility.FULL).mask_diagnostic(ROW) == ROW


@pytest.mark.parametrize("people", list(PeopleVisibility))
@pytest.mark.parametrize(
    "render", [as_json.render_plan_json, text.render_plan_text, markdown.render_plan_markdown, html.render_plan_html]
)
@pytest.mark.parametrize("customers", [1, 12])
def test_148_no_report_shows_the_path_of_a_webhook(render: Render, people: PeopleVisibility, customers: int) -> None:
    before, after = "https://hooks.slack.com/services/T0/B0/k3y", "https://relay.example/in?key=k3y"
    several = []
    for number in range(customers):
        updated = samples.updates()
        changed = Update(
            kind=Kind.CUSTOMER,
            key=f"c-{number}",
            label="Springfield",
            reason=Reason.FIELD_CHANGED,
            fields=(
                FieldChange("notify", {"webhook": before, "email": ()}, None),
                FieldChange("notify.webhook", before, after),
            ),
        )
        several.append(replace(updated, id=CustomerId(f"c-{number}"), document_changes=(changed,)))
    written = render(samples.plan(*several), people, samples.mask)
    assert "k3y" not in written
    assert "relay.example" in written
