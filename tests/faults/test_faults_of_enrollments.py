"""Faults 115 to 119: enrollments and their classes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rosters.bundles import Bundle
from tests.support.schools.by_files import DAY_ONE, School

#: Enrollments that are active in a class that isn't.
STRANDED = """
SELECT count(*) FROM enrollments e JOIN classes c ON c.id = e.class_id
WHERE e.tombstoned_at IS NULL AND c.tombstoned_at IS NOT NULL
"""
REPEATED = """
SELECT count(*) FROM (SELECT 1 FROM enrollments WHERE tombstoned_at IS NULL
                      GROUP BY class_id, account_id, role HAVING count(*) > 1) AS twice
"""
ACTIVE = "SELECT count(*) FROM enrollments WHERE tombstoned_at IS NULL"
EMPTY = """
SELECT count(*) FROM classes c WHERE c.tombstoned_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM enrollments e WHERE e.class_id = c.id AND e.tombstoned_at IS NULL)
"""
IN_CLASSES = """
SELECT c.sourced_id, a.id, e.role FROM enrollments e JOIN classes c ON c.id = e.class_id
JOIN accounts a ON a.id = e.account_id WHERE e.tombstoned_at IS NULL
"""


def count(school: School, statement: str) -> int:
    return int(school.project.ask(statement)[0][0])


def with_new_enrollment_ids(made: Bundle, prefix: str) -> Bundle:
    rows = ({**row, "sourcedId": f"{prefix}-{row['sourcedId']}"} for row in made.tables["enrollments"])
    return made.with_rows("enrollments", rows)


def schools_of(made: Bundle) -> list[tuple[str, str]]:
    return [(row["sourcedId"], row["orgSourcedIds"]) for row in made.tables["users"]]


def with_new_class_ids(made: Bundle, *classes: str, renew_enrollments: bool = False) -> Bundle:
    """The same classes and enrollments, these classes under other sourcedIds."""
    rows = [
        {**row, "sourcedId": f"new-{row['sourcedId']}"} if row["sourcedId"] in classes else row
        for row in made.tables["classes"]
    ]
    enrollments = [
        _in_new_class(row, renew_enrollments) if row["classSourcedId"] in classes else row
        for row in made.tables["enrollments"]
    ]
    return made.with_rows("classes", rows).with_rows("enrollments", enrollments)


def _in_new_class(row: Any, renew: bool) -> dict[str, str]:
    key = f"new-{row['sourcedId']}" if renew else row["sourcedId"]
    return {**row, "classSourcedId": f"new-{row['classSourcedId']}", "sourcedId": key}


@pytest.mark.slow
def test_112_enrollment_ids_made_anew_in_each_export_are_recognized(anywhere: School) -> None:
    rows = count(anywhere, ACTIVE)
    before = set(anywhere.project.ask(IN_CLASSES))
    for night in ("a", "b", "c"):
        later = with_new_enrollment_ids(DAY_ONE, night)
        plan = anywhere.plan(later)
        assert (plan.code, plan.json["customers"][0]["hold"]) == (2, None)
        assert plan.json["summary"]["rekey"] == rows
        assert (
            f"{rows} with a new ID" in anywhere.project.run("plan", "springfield", "--zip", anywhere.source(later)).out
        )
        assert anywhere.apply(later).code == 0
        assert count(anywhere, ACTIVE) == rows
        assert anywhere.plan(later).code == 0
    assert set(anywhere.project.ask(IN_CLASSES)) == before
    assert anywhere.project.ask("SELECT count(*) FROM limit_uses WHERE name = 'enrollments'") == [(0,)]


@pytest.mark.slow
def test_112_new_enrollment_ids_can_be_undone(anywhere: School) -> None:
    before = anywhere.live()
    assert anywhere.apply(with_new_enrollment_ids(DAY_ONE, "a")).code == 0
    assert anywhere.project.run("undo", "2", "--yes").code == 0
    assert anywhere.live() == before
    assert anywhere.plan(DAY_ONE).code == 0


@pytest.mark.slow
def test_113_a_repeated_enrollment_counts_once(anywhere: School) -> None:
    row = DAY_ONE.tables["enrollments"][0]
    twice = DAY_ONE.with_row("enrollments", "again", **{**row, "sourcedId": "again", "endDate": "2028-06-01"})
    plan = anywhere.plan(twice)
    assert "repeated-enrollment" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}
    assert plan.json["summary"]["rekey"] == 1
    assert anywhere.apply(twice).code == 0
    assert count(anywhere, REPEATED) == 0
    assert ("enrollment", "again") in anywhere.live()
    assert anywhere.plan(twice).code == 0
    assert anywhere.apply(DAY_ONE).code == 0
    assert count(anywhere, ACTIVE) == len(DAY_ONE.tables["enrollments"])
    assert count(anywhere, REPEATED) == 0


@pytest.mark.slow
def test_113_an_undo_leaves_out_what_would_repeat_an_enrollment(anywhere: School) -> None:
    """The person left the class in run 2 and is in it again by run 3, under another sourcedId."""
    row = DAY_ONE.tables["enrollments"][0]
    without = DAY_ONE.without("enrollments", [row["sourcedId"]])
    again = without.with_row("enrollments", "again", **{**row, "sourcedId": "again"})
    assert anywhere.apply(without).code == 0
    assert anywhere.apply(again).code == 0
    undone = anywhere.project.run("undo", "2", "--yes")
    assert "traceback" not in undone.err.lower()
    assert count(anywhere, REPEATED) == 0
    assert ("enrollment", "again") in anywhere.live()


@pytest.mark.slow
@pytest.mark.parametrize("renew_enrollments", [False, True])
def test_114_classes_with_new_ids_lose_nobody_while_their_moves_wait(
    anywhere: School, *, renew_enrollments: bool
) -> None:
    """Five of eight classes are within the limit on classes; their enrollments are beyond that on enrollments."""
    before = {(class_, who) for class_, who, _ in anywhere.project.ask(IN_CLASSES)}
    classes = DAY_ONE.ids("classes")[:5]
    later = with_new_class_ids(DAY_ONE, *classes, renew_enrollments=renew_enrollments)
    plan = anywhere.plan(later)
    assert plan.json["customers"][0]["outcome"] == "held"
    assert anywhere.apply(later).code == 3
    assert count(anywhere, STRANDED) == count(anywhere, EMPTY) == count(anywhere, REPEATED) == 0
    assert before <= {(class_, who) for class_, who, _ in anywhere.project.ask(IN_CLASSES)}

    hold = anywhere.plan(later).json["customers"][0]["hold"]["id"]
    done = anywhere.project.apply("springfield", "--zip", anywhere.source(later), "--approve", hold)
    assert done.code == 0, done.err
    assert count(anywhere, STRANDED) == count(anywhere, EMPTY) == 0
    assert count(anywhere, ACTIVE) == len(DAY_ONE.tables["enrollments"])
    assert {class_ for class_, *_ in anywhere.project.ask(IN_CLASSES)} == set(later.ids("classes"))
    assert anywhere.plan(later).code == 0


def test_115_a_class_that_enrollments_still_name_stays(school: School) -> None:
    """classes.csv lacks the class; the rows of enrollments.csv that name it are quarantined."""
    small = {**DAY_ONE.tables["classes"][0], "sourcedId": "small"}
    row = {**DAY_ONE.tables["enrollments"][0], "classSourcedId": "small"}
    first = DAY_ONE.with_row("classes", "small", **small).with_row(
        "enrollments", "in-small", **row | {"sourcedId": "in-small"}
    )
    assert school.apply(first).code == 0
    later = first.without("classes", ["small"])
    before = school.live()
    plan = school.plan(later)
    customer = plan.json["customers"][0]
    assert customer["outcome"] == "held"
    assert "A class would be removed while people are still enrolled in it." in customer["hold"]["causes"]
    assert school.apply(later).code == 3
    assert school.live() == before
    assert count(school, STRANDED) == 0


@pytest.mark.slow
def test_116_an_enrollment_id_given_to_somebody_else_each_day_fills_the_window(anywhere: School) -> None:
    """Twelve rows a day, of 200 with at most 50 to lose in a week: from the fifth day on they are held. Who gets one is
    of the other school, and so in none of its classes."""
    rows = DAY_ONE.tables["enrollments"][:12]
    people = {school: iter([key for key, org in schools_of(DAY_ONE) if org != school]) for school in ("s-1", "s-2")}
    codes = []
    for _ in range(6):
        later = DAY_ONE
        for row in rows:
            who = next(people[row["schoolSourcedId"]])
            later = later.with_row("enrollments", row["sourcedId"], userSourcedId=who, role="proctor")
        codes.append(anywhere.apply(later).code)
    assert codes[:4] == [0, 0, 0, 0]
    assert codes[4:] == [3, 3]
    use = next(each for each in anywhere.plan(later).json["customers"][0]["limits"] if each["name"] == "enrollments")
    assert (use["earlier"], use["seen"]) == (48, 60)


@pytest.mark.slow
def test_116_a_person_who_is_in_the_class_again_counts_no_more(anywhere: School) -> None:
    rows = DAY_ONE.tables["enrollments"][:12]
    without = DAY_ONE.without("enrollments", [row["sourcedId"] for row in rows])
    again = without
    for row in rows:
        again = again.with_row("enrollments", f"n-{row['sourcedId']}", **{**row, "sourcedId": f"n-{row['sourcedId']}"})
    assert anywhere.apply(without).code == 0
    uses = {each["name"]: each for each in anywhere.plan(without).json["customers"][0]["limits"]}
    assert uses["enrollments"]["earlier"] == 12
    assert anywhere.apply(again).code == 0
    uses = {each["name"]: each for each in anywhere.plan(again).json["customers"][0]["limits"]}
    assert uses["enrollments"]["earlier"] == 0
