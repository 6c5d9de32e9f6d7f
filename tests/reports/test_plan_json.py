"""The plan as JSON, as the contract has it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from reconciler.model.change import Action, FieldChange, Update
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome
from reconciler.model.reason import Reason
from reconciler.reports.plan.json import render_plan_json
from reconciler.reports.plan.people import PeopleVisibility
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples


def rendered(
    *customers: CustomerPlan, people: PeopleVisibility = PeopleVisibility.FULL, rows: int = 1000
) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_plan_json(samples.plan(*customers), people, samples.mask, rows))
    return document


@pytest.mark.parametrize(
    "sample", [samples.first_load, samples.nothing, samples.updates, samples.removals, samples.refused, samples.failed]
)
def test_a_plan_reads_as_it_did(sample: Any, snapshot: SnapshotAssertion) -> None:
    assert render_plan_json(samples.plan(sample()), PeopleVisibility.FULL, samples.mask) == snapshot


def test_several_customers_masked_read_as_they_did(snapshot: SnapshotAssertion) -> None:
    plan = samples.plan(samples.updates(), samples.removals(3), samples.failed(), samples.removed_from_git())
    assert render_plan_json(plan, PeopleVisibility.MASKED, samples.mask, rows=2) == snapshot


def test_keys_stand_in_the_order_of_the_contract() -> None:
    document = rendered(samples.removals())
    assert list(document) == [
        "format_version",
        "plan_id",
        "created_at",
        "tool_version",
        "store",
        "base",
        "elsewhere",
        "summary",
        "weakened",
        "customers",
    ]
    assert list(document["summary"]) == [
        *("delete", "suspend", "resume", "conclude", "rekey", "restore", "adopt", "move", "update", "create"),
        *("held", "unchanged", "quarantined", "weakened", "access"),
    ]
    assert list(document["customers"][0]) == [
        *("id", "outcome", "source", "hold", "would_hold", "diagnostics", "counts", "limits", "weakened"),
        *("changes", "changes_truncated"),
    ]
    assert list(document["customers"][0]["changes"][0]) == [
        *("action", "kind", "key", "label", "reason", "cause", "held", "origin", "impact", "fields")
    ]


def test_same_plan_gives_same_bytes_in_any_row_order() -> None:
    customer = samples.removals()
    shuffled = replace(customer, roster={kind: frame.reverse() for kind, frame in customer.roster.items()})
    one, other = (
        render_plan_json(samples.plan(each), PeopleVisibility.MASKED, samples.mask) for each in (customer, shuffled)
    )
    assert one == other


def test_deletions_come_first_and_only_enrollments_are_cut() -> None:
    changes = rendered(samples.removals(), rows=2)["customers"][0]["changes"]
    actions = [change["action"] for change in changes]
    assert actions == sorted(actions, key=list(Action).index)
    deleted = [change["kind"] for change in changes if change["action"] == "delete"]
    assert (deleted.count("user"), deleted.count("class"), deleted.count("enrollment")) == (14, 1, 2)


def test_other_actions_are_cut_per_kind_and_say_so() -> None:
    customer = rendered(samples.first_load(), rows=2)["customers"][0]
    kinds = [change["kind"] for change in customer["changes"]]
    assert (kinds.count("user"), kinds.count("enrollment"), kinds.count("org")) == (2, 2, 1)
    assert customer["changes_truncated"] is True
    assert rendered(samples.first_load(), rows=5)["customers"][0]["changes_truncated"] is False


def test_numbers_include_holds_and_ignore_cut_lists() -> None:
    document = rendered(samples.removals(), rows=1)
    users = document["customers"][0]["counts"]["user"]
    assert (users["delete"], users["held"], users["quarantined"]) == (14, 12, 1)
    assert document["summary"]["delete"] == 14 + 1 + 18
    assert document["summary"]["held"] == 24


def test_kinds_without_any_number_have_no_counts() -> None:
    assert list(rendered(samples.nothing())["customers"][0]["counts"]) == ["user"]
    assert rendered(samples.refused())["customers"][0]["counts"] == {}


def test_an_update_lists_only_the_fields_that_differ() -> None:
    changes = rendered(samples.updates())["customers"][0]["changes"]
    ralph = next(change for change in changes if change["key"] == "u-12")
    assert ralph["fields"] == [
        {"path": "email", "before": "old@springfield.example", "after": "ralph@springfield.example", "cause": None}
    ]
    martin = next(change for change in changes if change["key"] == "u-30")
    values = {field["path"]: (field["before"], field["after"]) for field in martin["fields"]}
    assert values["email"] == (None, "martin.prince@springfield.example")
    assert values["roles"] == ("s-7=student", "s-7=student, s-8=student")
    assert martin["cause"] == "drift"


def test_rekey_shows_both_keys_and_adoption_its_manager() -> None:
    changes = rendered(samples.updates())["customers"][0]["changes"]
    rekey = next(change for change in changes if change["action"] == "rekey")
    assert rekey["fields"] == [{"path": "sourced_id", "before": "u-77", "after": "n-77", "cause": None}]
    adopted = next(change for change in changes if change["action"] == "adopt")
    assert adopted["fields"][0] == {"path": "managed_by", "before": "lti", "after": "roster", "cause": None}


def test_account_keeping_its_manager_shows_no_change() -> None:
    row = samples.with_before(Kind.USER, samples.person("u-50", "Todd", "Flanders"))
    adopt = samples.change(Action.ADOPT, Reason.ADOPTED, 30, row, manager="join_link")
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [adopt])})
    assert rendered(customer)["customers"][0]["changes"][0]["fields"] == []


def test_person_returning_under_another_key_shows_the_former() -> None:
    row = samples.with_before(Kind.USER, samples.person("u-9", "Rod", "Flanders", former_key="u-8"))
    restore = samples.change(Action.RESTORE, Reason.RETURNED, 3, row)
    customer = samples.customer(roster={Kind.USER: samples.frame(Kind.USER, [restore])})
    fields = rendered(customer)["customers"][0]["changes"][0]["fields"]
    assert fields == [{"path": "sourced_id", "before": "u-8", "after": "u-9", "cause": None}]


def test_impact_leaves_out_what_is_not_known() -> None:
    changes = rendered(samples.removals())["customers"][0]["changes"]
    otto = next(change for change in changes if change["key"] == "u-2207")
    assert otto["impact"] == {"classes": 0, "enrollments": 0, "assignments": 0, "lti_links": 0}
    assert otto["origin"] == {"file": "users.csv", "line": 318}


def test_a_missing_row_has_a_file_and_no_line() -> None:
    change = rendered(samples.removals())["customers"][0]["changes"][0]
    assert change["key"] == "u-1041"
    assert change["origin"] == {"file": "users.csv", "line": None}


def test_impact_columns_may_be_absent() -> None:
    customer = samples.removals()
    bare = {
        kind: frame.select([name for name in frame.columns if not name.startswith("impact_")])
        for kind, frame in customer.roster.items()
    }
    changes = rendered(replace(customer, roster=bare))["customers"][0]["changes"]
    assert {len(change["impact"]) for change in changes} == {0}


def test_documents_with_read_only_values_are_written_unchanged() -> None:
    field = FieldChange("select", MappingProxyType({"grades": ("01", "02")}), frozenset({"b", "a"}))
    update = Update(kind=Kind.CUSTOMER, key="springfield", label="s", reason=Reason.FIELD_CHANGED, fields=(field,))
    change = rendered(samples.customer(document_changes=(update,)))["customers"][0]["changes"][0]
    assert change["fields"] == [
        {"path": "select", "before": {"grades": ["01", "02"]}, "after": ["a", "b"], "cause": None}
    ]
    assert change["origin"] is None


def test_a_customer_of_no_source_has_null() -> None:
    customer = rendered(samples.removed_from_git())["customers"][0]
    assert customer["source"] is None
    assert customer["outcome"] == Outcome.HELD.value
    assert customer["hold"] == {
        "id": "ogdenville:812:00c0de",
        "people": 812,
        "rows": 1,
        "causes": ["Its file was removed from the customers repository."],
    }


def test_a_reviewed_plan_reads_as_it_did(snapshot: SnapshotAssertion) -> None:
    assert render_plan_json(reviews.reviewed(), PeopleVisibility.MASKED, samples.mask) == snapshot


def test_a_plan_without_a_base_says_so() -> None:
    document = rendered(samples.updates())
    assert (document["base"], document["elsewhere"], document["weakened"]) == (None, None, [])


def test_a_base_and_what_is_left_out_are_told() -> None:
    document = json.loads(render_plan_json(reviews.reviewed(), PeopleVisibility.FULL, samples.mask))
    assert document["base"] == {"ref": "origin/main", "commit": reviews.BASE.commit, "missing_commits": 0}
    assert document["elsewhere"] == {"pending": 2, "drifted": 1, "failed": 0}
    causes = {
        field["cause"]
        for customer in document["customers"]
        for change in customer["changes"]
        for field in change["fields"]
    }
    assert causes == {"pr", "pending", "drift"}


def test_weakened_protections_are_counted_and_placed() -> None:
    document = json.loads(render_plan_json(reviews.folded(20), PeopleVisibility.FULL, samples.mask))
    assert document["summary"]["weakened"] == 1 + 20
    assert document["weakened"] == [
        {
            "protection": "network",
            "kind": None,
            "key": "",
            "path": "network.allow",
            "before": ["127.0.0.1"],
            "after": ["10.0.0.0/8", "127.0.0.1"],
            "file": "reconciler.yaml",
            "line": 9,
        }
    ]
    assert document["customers"][1]["weakened"][0]["before"] == 20


def test_json_is_whole_where_other_reports_fold() -> None:
    document = json.loads(render_plan_json(reviews.folded(20), PeopleVisibility.FULL, samples.mask))
    assert [len(customer["changes"]) for customer in document["customers"]].count(1) == 19


def test_who_is_no_longer_protected_is_masked() -> None:
    weakened = json.loads(render_plan_json(reviews.reviewed(), PeopleVisibility.MASKED, samples.mask))["customers"][0][
        "weakened"
    ][1]
    someone, lisa = (samples.mask(Kind.USER, "springfield", key) for key in ("u-1", "u-1041"))
    assert (weakened["before"], weakened["after"]) == ([lisa, someone], [someone])
