"""The JSON Schema of a plan."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.reports.plan.json import render_plan_json
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.reports.plan.schema import build_plan_schema
from tests.support.plans import reviewed as reviews
from tests.support.plans import samples

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "plan.schema.json"
VALIDATOR = Draft202012Validator(build_plan_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def document(people: PeopleVisibility = PeopleVisibility.FULL) -> dict[str, Any]:
    plan = samples.plan(
        samples.first_load(),
        samples.nothing(),
        samples.updates(),
        samples.removals(),
        samples.refused(),
        samples.failed(),
        samples.removed_from_git(),
    )
    written: dict[str, Any] = json.loads(render_plan_json(plan, people, samples.mask))
    return written


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(build_plan_schema())


def test_the_file_in_schemas_is_current() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == build_plan_schema()


@pytest.mark.parametrize("people", list(PeopleVisibility))
def test_rendered_plans_follow_the_schema(people: PeopleVisibility) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document(people))] == []


@pytest.mark.parametrize("plan", [reviews.reviewed, lambda: reviews.folded(10), lambda: reviews.hostile("<b>|`")])
def test_plans_with_a_base_follow_the_schema(plan: Any) -> None:
    written = json.loads(render_plan_json(plan(), PeopleVisibility.MASKED, samples.mask))
    assert [error.message for error in VALIDATOR.iter_errors(written)] == []


def test_unknown_actions_reasons_and_keys_are_borne() -> None:
    plan = document()
    change = plan["customers"][0]["changes"][0]
    change |= {"action": "archive", "reason": "moved_district", "new_key": 1}
    plan["customers"][0]["also"] = {}
    assert VALIDATOR.is_valid(plan)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("plan_id",), "abc"),
        (("summary", "delete"), -1),
        (("customers", 0, "outcome"), "maybe"),
        (("customers", 0, "source", "complete"), "yes"),
        (("customers", 3, "hold", "id"), "springfield"),
        (("customers", 3, "limits", 0, "scope"), "school"),
        (("customers", 3, "changes", 0, "held"), None),
        (("customers", 3, "changes", 0, "origin"), "users.csv"),
        (("customers", 0, "counts"), {"person": {}}),
        (("base",), "main"),
        (("elsewhere",), {"pending": "two"}),
        (("customers", 0, "weakened"), [{"protection": "limit"}]),
    ],
)
def test_a_wrong_value_does_not_validate(path: tuple[str | int, ...], wrong: object) -> None:
    plan: Any = deepcopy(document())
    place = plan
    for step in path[:-1]:
        place = place[step]
    assert path[-1] in place
    place[path[-1]] = wrong
    assert not VALIDATOR.is_valid(plan)


def test_every_key_is_required() -> None:
    plan = document()
    del plan["customers"][0]["changes_truncated"]
    assert not VALIDATOR.is_valid(plan)
