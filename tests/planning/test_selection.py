"""Which part of a roster is synced: who is inside, who leaves for being outside, and what never gets lost by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Refusal, Severity, Span
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.desired import DesiredRoster, build_desired_roster
from reconciler.planning.roster.selection import RosterSelection
from tests.support.rosters.snapshots import DISTRICT, actions, decide, district, live_of, person

#: s-1 has class c-1, s-2 has c-2; u-000 to u-049 are at s-1, the others at s-2; every tenth is a teacher.
PEOPLE = [
    person(
        each,
        "s-1" if each < 50 else "s-2",
        role="teacher" if each % 10 == 0 else "student",
        grades=None if each % 10 == 0 else ("05", "06,07")[each % 2],
    )
    for each in range(100)
]


def two_schools(people: list[dict[str, Any]] | None = None, **more: Any) -> Snapshot:
    """People are in the class of their own school."""
    made = district(PEOPLE if people is None else people, **more)
    at_own = made.roles.select("user", pl.col("org").str.replace("s-", "c-").alias("class"))
    return replace(
        made,
        classes=made.classes.with_columns(pl.col("sourced_id").str.replace("c-", "s-").alias("school")),
        enrollments=made.enrollments.join(at_own, on=["user", "class"], how="semi", maintain_order="left"),
    )


def selected(selection: RosterSelection, snapshot: Snapshot | None = None) -> DesiredRoster:
    return build_desired_roster(two_schools() if snapshot is None else snapshot, DISTRICT, None, selection=selection)


def keys(desired: DesiredRoster, kind: Kind) -> set[str]:
    return set(desired.frames[kind]["sourced_id"])


def reasons(frame: pl.DataFrame) -> dict[str, int]:
    return dict(frame.group_by("reason").len().iter_rows())


def rules(selection: RosterSelection, **more: Any) -> RosterRules:
    return RosterRules("identifier", selection=selection, **more)


def with_role(snapshot: Snapshot, user: str, org: str, role: str) -> Snapshot:
    row = {"user": user, "org": org, "role": role, "primary": False, "line": 999}
    return replace(snapshot, roles=pl.concat([snapshot.roles, pl.DataFrame([row], schema=snapshot.roles.schema)]))


def test_without_a_selection_everybody_is_inside() -> None:
    desired = build_desired_roster(two_schools(), DISTRICT, None)
    assert desired.frames[Kind.USER].height == 100
    assert all(not keys.len() for keys in desired.unselected_ids.values())


def test_schools_select_their_people_classes_and_parent_orgs() -> None:
    desired = selected(RosterSelection(schools=("s-1",)))
    assert keys(desired, Kind.ORG) == {"d-1", "s-1"}
    assert keys(desired, Kind.CLASS) == {"c-1"}
    assert keys(desired, Kind.USER) == {f"u-{each:03}" for each in range(50)}
    assert set(desired.frames[Kind.ENROLLMENT]["class"]) == {"c-1"}
    assert set(desired.unselected_ids[Kind.ORG]) == {"s-2"}


def test_an_org_takes_everything_below_it() -> None:
    assert keys(selected(RosterSelection(schools=("d-1",))), Kind.ORG) == {"d-1", "s-1", "s-2"}
    assert selected(RosterSelection(schools=("d-1",))).frames[Kind.USER].height == 100


def test_person_of_two_schools_keeps_both_roles_and_schools() -> None:
    desired = selected(RosterSelection(schools=("s-1",)), with_role(two_schools(), "u-000", "s-2", "teacher"))
    roles = dict(desired.frames[Kind.USER].select("sourced_id", "roles").iter_rows())
    assert roles["u-000"] == "s-1=teacher\ns-2=teacher"
    assert "s-2" in keys(desired, Kind.ORG)
    assert "u-051" not in keys(desired, Kind.USER)
    assert "c-2" not in keys(desired, Kind.CLASS)


def test_roles_look_at_the_primary_one() -> None:
    everybody = with_role(two_schools(), "u-001", "s-1", "teacher")
    inside = keys(selected(RosterSelection(roles=("teacher",)), everybody), Kind.USER)
    assert inside == {f"u-{each:03}" for each in range(0, 100, 10)}


def test_grades_apply_only_to_students_and_any_one_suffices() -> None:
    inside = keys(selected(RosterSelection(grades=("07",))), Kind.USER)
    teachers = {f"u-{each:03}" for each in range(0, 100, 10)}
    assert inside == teachers | {f"u-{each:03}" for each in range(1, 100, 2)}


def test_a_student_without_any_grade_stays_inside() -> None:
    people = [{**each, "grades": None} if each["sourced_id"] == "u-002" else each for each in PEOPLE]
    assert "u-002" in keys(selected(RosterSelection(grades=("07",)), two_schools(people)), Kind.USER)


def test_classes_take_who_is_enrolled_in_them() -> None:
    desired = selected(RosterSelection(classes=("c-2",)))
    assert keys(desired, Kind.CLASS) == {"c-2"}
    assert keys(desired, Kind.USER) == {f"u-{each:03}" for each in range(50, 100)}
    assert keys(desired, Kind.ORG) == {"d-1", "s-1", "s-2"}


def test_every_criterion_has_to_hold() -> None:
    desired = selected(RosterSelection(schools=("s-1",), roles=("student",), grades=("05",), classes=("c-1", "c-2")))
    assert keys(desired, Kind.USER) == {f"u-{each:03}" for each in range(50) if each % 2 == 0 and each % 10}
    assert keys(desired, Kind.CLASS) == {"c-1"}


def test_deselected_people_leave_for_that_reason_with_everything() -> None:
    decision = decide(two_schools(), live_of(two_schools()), rules(RosterSelection(schools=("s-1",))))
    for kind in (Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT):
        assert set(actions(decision, kind)) == {"delete"}
        assert set(reasons(decision.changes[kind])) == {"scope_narrowed"}
    assert decision.changes[Kind.USER].height == 50
    used = {limit.name: limit.planned for limit in decision.limits if limit.scope == "customer"}
    assert (used["users"], used["scope_narrowed"]) == (0, 50)


def test_who_changes_to_another_grade_leaves_the_scope() -> None:
    moved = [{**each, "grades": "09"} if each["sourced_id"] == "u-003" else each for each in PEOPLE]
    grades = rules(RosterSelection(grades=("05", "06", "07")))
    decision = decide(two_schools(moved), live_of(two_schools()), grades)
    assert actions(decision, Kind.USER) == {"delete": ["u-003"]}
    assert reasons(decision.changes[Kind.USER]) == {"scope_narrowed": 1}
    assert reasons(decision.changes[Kind.ENROLLMENT]) == {"scope_narrowed": 1}


@pytest.mark.parametrize(("missing", "expected"), [("suspend", {"suspend": ["u-003"]}), ("keep", {})])
def test_who_leaves_the_scope_stands_on_the_same_ladder(missing: str, expected: dict[str, list[str]]) -> None:
    moved = [{**each, "grades": "09"} if each["sourced_id"] == "u-003" else each for each in PEOPLE]
    grades = RosterSelection(grades=("05", "06", "07"))
    decision = decide(two_schools(moved), live_of(two_schools()), rules(grades, missing=missing))
    assert actions(decision, Kind.USER) == expected
    assert Kind.ENROLLMENT not in decision.changes


def test_people_missing_from_the_file_are_not_out_of_scope() -> None:
    decision = decide(two_schools(PEOPLE[1:]), live_of(two_schools()), rules(RosterSelection(schools=("d-1",))))
    assert reasons(decision.changes[Kind.USER]) == {"roster_row_missing": 1}


def test_marked_people_are_deleted_inside_and_outside_the_selection() -> None:
    marked = two_schools(marked=["u-001", "u-051"])
    decision = decide(marked, live_of(two_schools()), rules(RosterSelection(schools=("s-1",)), missing="keep"))
    assert actions(decision, Kind.USER) == {"delete": ["u-001", "u-051"]}
    assert reasons(decision.changes[Kind.USER]) == {"roster_tobedeleted": 2}


def test_nobody_outside_is_taken_for_somebody_new() -> None:
    """u-051 is outside; a new row with the same address is another person while that row is there."""
    twin = {**PEOPLE[51], "sourced_id": "u-900", "school": "s-1", "username": "other", "identifier": "77"}
    by_email = RosterRules("email", selection=RosterSelection(schools=("s-1",)))
    decision = decide(two_schools([*PEOPLE, twin]), live_of(two_schools()), by_email)
    assert actions(decision, Kind.USER).get("rekey") is None
    assert actions(decision, Kind.USER)["create"] == ["u-900"]
    gone = [each for each in PEOPLE if each["sourced_id"] != "u-051"]
    assert actions(decide(two_schools([*gone, twin]), live_of(two_schools()), by_email), Kind.USER)["rekey"] == [
        "u-900"
    ]


def test_username_of_a_deselected_person_is_free() -> None:
    people = [{**each, "username": "same"} if each["sourced_id"] in ("u-001", "u-051") else each for each in PEOPLE]
    assert "u-001" in keys(selected(RosterSelection(schools=("s-1",)), two_schools(people)), Kind.USER)
    assert "u-001" not in keys(selected(RosterSelection(schools=("d-1",)), two_schools(people)), Kind.USER)


def test_a_row_set_aside_protects_inside_and_outside() -> None:
    left = [each for each in PEOPLE if each["sourced_id"] not in ("u-001", "u-051")]
    aside = two_schools(left, aside=[("user", "u-001"), ("user", "u-051")])
    decision = decide(aside, live_of(two_schools()), rules(RosterSelection(schools=("s-1",))))
    assert {"u-001", "u-051"}.isdisjoint(actions(decision, Kind.USER)["delete"])


def without_enrollments(user: str, key: str | None) -> tuple[Snapshot, LiveRoster]:
    """The roster in which the only enrollment of somebody was set aside, and the store before."""
    live = live_of(two_schools())
    theirs = live.enrollments.filter(pl.col("user") == user)["sourced_id"][0]
    made = two_schools()
    row = {"kind": "enrollment", "key": theirs if key else None, "file": "enrollments.csv", "line": 2, "code": "bad"}
    quarantine = pl.DataFrame([{name: row.get(name) for name in QUARANTINE_SCHEMA}], schema=QUARANTINE_SCHEMA)
    kept = made.enrollments.filter(pl.col("sourced_id") != theirs)
    return replace(made, enrollments=kept, quarantine=quarantine), live


def test_person_with_a_quarantined_enrollment_may_be_selected() -> None:
    snapshot, live = without_enrollments("u-001", "known")
    decision = decide(snapshot, live, rules(RosterSelection(classes=("c-1",))))
    gone = actions(decision, Kind.USER)["delete"]
    assert "u-001*" not in gone
    assert "u-051*" in gone


def test_quarantined_enrollment_with_unreadable_key_may_be_anybodys() -> None:
    moved = [{**each, "grades": "09"} if each["sourced_id"] == "u-003" else each for each in PEOPLE]
    before = live_of(two_schools())
    snapshot, _ = without_enrollments("u-001", None)
    one = replace(snapshot, users=two_schools(moved).users)
    by_classes = rules(RosterSelection(classes=("c-1", "c-2"), grades=("05", "06", "07")))
    assert set(actions(decide(one, before, by_classes), Kind.USER)["delete"]) == {"u-001*", "u-003*"}
    by_grades = rules(RosterSelection(grades=("05", "06", "07")))
    assert actions(decide(one, before, by_grades), Kind.USER) == {"delete": ["u-003"]}


def test_selected_but_quarantined_class_keeps_its_people() -> None:
    made = two_schools(aside=[("class", "c-1")])
    bad = replace(made, classes=made.classes.filter(pl.col("sourced_id") != "c-1"))
    desired = selected(RosterSelection(classes=("c-1",)), bad)
    assert keys(desired, Kind.USER) == {f"u-{each:03}" for each in range(50)}
    assert desired.diagnostics == ()


def test_selected_but_quarantined_school_keeps_its_people() -> None:
    made = two_schools(aside=[("org", "s-1")])
    bad = replace(made, orgs=made.orgs.filter(pl.col("sourced_id") != "s-1"))
    decision = decide(bad, live_of(two_schools()), rules(RosterSelection(schools=("s-1",))))
    gone = {key.rstrip("*") for key in actions(decision, Kind.USER)["delete"]}
    assert gone == {f"u-{each:03}" for each in range(50, 100)}


@pytest.mark.parametrize(
    ("selection", "key"),
    [
        (RosterSelection(schools=("s-9",)), "schools"),
        (RosterSelection(schools=()), "schools"),
        (RosterSelection(roles=("aide",)), "roles"),
        (RosterSelection(classes=("c-9",), roles=("student",)), "classes"),
        (RosterSelection(grades=("12",), roles=("student",)), "grades"),
    ],
)
def test_selection_matching_nobody_is_refused_by_its_key(selection: RosterSelection, key: str) -> None:
    students = [each for each in PEOPLE if each["role"] == "student"]
    spans = {key: Span("customer.yaml", 20)}
    with pytest.raises(Refusal) as raised:
        selected(replace(selection, spans=spans), two_schools(students))
    (found,) = raised.value.diagnostics
    assert (found.code, found.span) == ("selection-matches-nobody", Span("customer.yaml", 20))
    assert f"rostering.select.{key} matches nobody" in found.message


def test_criteria_that_only_together_match_nobody_are_refused_together() -> None:
    with pytest.raises(Refusal) as raised:
        selected(RosterSelection(schools=("s-1",), classes=("c-2",)))
    assert "all lists of rostering.select (schools, classes)" in raised.value.diagnostics[0].message


def test_selected_but_missing_item_warns_at_its_line() -> None:
    spans = {"schools": Span("customer.yaml", 20), "schools.1": Span("customer.yaml", 22)}
    desired = selected(RosterSelection(schools=("s-1", "s-9"), classes=("c-1", "c-8"), spans=spans))
    school, section = desired.diagnostics
    assert (school.code, school.severity) == ("selected-row-missing", Severity.WARNING)
    assert (school.span, "s-9" in school.message) == (Span("customer.yaml", 22), True)
    assert (section.span, "c-8" in section.message) == (None, True)


def test_the_order_of_rows_does_not_matter() -> None:
    made = two_schools()
    turned = replace(made, **{name: getattr(made, name).reverse() for name in ("orgs", "users", "roles", "classes")})
    chosen = rules(RosterSelection(schools=("s-1",), grades=("05",)))
    first, second = (decide(each, live_of(made), chosen) for each in (made, turned))
    for kind in (Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT):
        assert first.changes[kind].select("action", "reason", "key").rows() == (
            second.changes[kind].select("action", "reason", "key").rows()
        )
