"""The end of a school year: ended terms conclude, the rest is held, and the calendar keeps people over the summer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import Bundle, Row, bundle

pytestmark = pytest.mark.slow


def session(key: str, first: str, end: str) -> Row:
    return {
        "sourcedId": key,
        "title": key,
        "type": "semester",
        "startDate": first,
        "endDate": end,
        "schoolYear": end[:4],
    }


LAST_TERMS = (session("t-1", "2026-08-20", "2027-01-20"), session("t-2", "2027-01-20", "2027-06-12"))
NEXT_TERMS = (session("t-3", "2027-08-20", "2028-01-20"), session("t-4", "2028-01-20", "2028-06-10"))
YEAR = bundle(users=30, classes=12).with_rows("academicSessions", LAST_TERMS)
OLD = YEAR.ids("classes")
ENROLLED = len(YEAR.ids("enrollments"))


def next_year() -> Bundle:
    """The same people in other classes; the terms of the last year are gone from the file."""
    made = YEAR.with_rows("academicSessions", NEXT_TERMS)
    made = made.with_rows(
        "classes",
        [{**row, "sourcedId": f"n{row['sourcedId']}", "termSourcedIds": "t-3,t-4"} for row in made.tables["classes"]],
    )
    return made.with_rows(
        "enrollments",
        [
            {
                **row,
                "sourcedId": f"n{row['sourcedId']}",
                "classSourcedId": f"n{row['classSourcedId']}",
                "beginDate": "2027-08-20",
                "endDate": "2028-06-10",
            }
            for row in made.tables["enrollments"]
        ],
    )


@contextmanager
def on(moment: str) -> Iterator[None]:
    with clock.freeze_time(datetime.fromisoformat(moment).replace(tzinfo=UTC)):
        yield


def day(project: Project, made: Bundle) -> Path:
    return made.zip(project.folder / "day.zip")


def apply(project: Project, made: Bundle, *more: str) -> Result:
    return project.apply("springfield", "--zip", day(project, made), *more)


def plan(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", day(project, made))


def loaded(project: Project, more: str = "") -> Project:
    project.customer(more=more)
    with on("2026-09-01T12:00:00"):
        assert apply(project, YEAR).code == 0
    return project


def summary(planned: Result) -> dict[str, int]:
    counted = planned.json["summary"]
    return {name: counted[name] for name in ("delete", "conclude", "create", "held")}


def concluded(project: Project, table: str) -> list[tuple[int, int, int]]:
    """How many ended with their term, how many of these are not live, and in how many runs that was."""
    return [
        (int(ended), int(gone), int(runs))
        for ended, gone, runs in project.ask(
            f"select count(concluded_at), count(case when concluded_at = tombstoned_at then 1 end),"
            f" count(distinct tombstoned_run) from {table} where concluded_at is not null"
        )
    ]


def test_a_year_that_ended_concludes_and_nothing_is_held(project: Project) -> None:
    loaded(project)
    with on("2027-08-21T12:00:00"):
        planned = plan(project, next_year())
        assert planned.code == 2
        assert summary(planned) == {"delete": 0, "conclude": 12 + ENROLLED, "create": 12 + ENROLLED, "held": 0}
        classes = [each for each in changes(planned, "class") if each["action"] == "conclude"]
        assert [each["key"] for each in classes] == OLD
        assert {each["reason"] for each in classes} == {"session_ended"}
        assert sum(each["impact"]["enrollments"] for each in classes) == ENROLLED
        assert {each["seen"] for each in planned.json["customers"][0]["limits"]} == {0}

        assert apply(project, next_year()).code == 0
        assert plan(project, next_year()).code == 0
    assert concluded(project, "classes") == [(12, 12, 1)]
    assert concluded(project, "enrollments") == [(ENROLLED, ENROLLED, 1)]
    assert project.ask("select count(*) from journal where action = 'conclude'") == [(12 + ENROLLED,)]
    assert project.ask("select count(*) from enrollments where tombstoned_at is null") == [(ENROLLED,)]


def test_same_file_is_held_before_the_years_end(project: Project) -> None:
    loaded(project)
    with on("2027-06-11T12:00:00"):
        planned = plan(project, next_year())
        assert planned.code == 3
        assert summary(planned)["delete"] == 12 + ENROLLED
        assert summary(planned)["conclude"] == 0
        assert apply(project, next_year()).code == 3
    assert concluded(project, "classes") == [(0, 0, 0)]
    assert project.ask("select count(*) from classes where tombstoned_at is null") == [(24,)]

    with on("2027-06-12T12:00:00"):
        assert summary(plan(project, next_year())) == {"delete": 0, "conclude": 12 + ENROLLED, "create": 0, "held": 0}


def test_terms_are_known_from_earlier_rosters_however_long_ago(project: Project) -> None:
    """The old classes stay in the file for some days after their terms left it."""
    loaded(project)
    both = next_year()
    for table in ("classes", "enrollments"):
        both = both.with_rows(table, [*YEAR.tables[table], *both.tables[table]])
    with on("2027-08-21T12:00:00"):
        for _ in range(2):
            assert apply(project, both).code == 0
        planned = plan(project, next_year())
    assert summary(planned) == {"delete": 0, "conclude": 12 + ENROLLED, "create": 0, "held": 0}


def test_term_backdated_by_the_roster_dropping_classes_ends_nothing(project: Project) -> None:
    loaded(project)
    early = [session(row["sourcedId"], "2026-08-20", "2026-09-02") for row in LAST_TERMS]
    wrong = next_year().with_rows("academicSessions", [*NEXT_TERMS, *early])
    with on("2026-11-01T12:00:00"):
        planned = plan(project, wrong)
    assert planned.code == 3
    assert (summary(planned)["conclude"], summary(planned)["delete"]) == (0, 12 + ENROLLED)


def test_returning_class_is_no_longer_ended(project: Project) -> None:
    loaded(project)
    again = next_year().with_row("classes", "c-01", **dict(YEAR.tables["classes"][0]) | {"termSourcedIds": "t-3"})
    with on("2027-08-21T12:00:00"):
        assert apply(project, next_year()).code == 0
        (back,) = changes(plan(project, again), "class")
        assert (back["action"], back["reason"], back["key"]) == ("restore", "returned", "c-01")
        assert apply(project, again).code == 0
    assert concluded(project, "classes") == [(11, 11, 1)]
    assert concluded(project, "enrollments") == [(ENROLLED, ENROLLED, 1)]
    assert project.ask("select concluded_at, tombstoned_at from classes where sourced_id = 'c-01'") == [(None, None)]


def test_enrollment_past_its_last_day_concludes_before_its_class(project: Project) -> None:
    loaded(project)
    first, second = YEAR.ids("enrollments")[:2]
    brief = YEAR.with_row("enrollments", first, endDate="2026-10-01")
    with on("2026-10-02T12:00:00"):
        assert apply(project, brief).code == 0
        planned = plan(project, brief.without("enrollments", [first, second]))
        found = {each["key"]: (each["action"], each["reason"]) for each in changes(planned, "enrollment")}
    assert found == {first: ("conclude", "session_ended"), second: ("delete", "roster_row_missing")}


SUMMER = "  calendar:\n    - {from: 2027-06-10, to: 2027-08-20, mode: adds_only}\n"


def test_nobody_is_removed_in_a_season_that_only_adds(project: Project) -> None:
    loaded(project, SUMMER)
    leaver = YEAR.students()[0]
    later = YEAR.without_users([leaver]).with_user("u-9001")
    with on("2027-06-11T12:00:00"):
        planned = plan(project, later)
        assert planned.code == 3
        people = {each["key"]: (each["action"], each["held"]) for each in changes(planned, "user")}
        assert people == {leaver: ("delete", True), "u-9001": ("create", False)}

        done = apply(project, later)
        assert done.code == 3
        line = Path("customers/springfield/customer.yaml").read_text().splitlines().index(SUMMER.splitlines()[1]) + 1
        sentence = f"Until 2027-08-20, nothing is removed (calendar in customers/springfield/customer.yaml:{line})."
        assert sentence in " ".join(project.run("holds").out.split())
        hold = plan(project, later).json["customers"][0]["hold"]
        assert apply(project, later, "--approve", hold["id"]).code == 0
        assert plan(project, later).code == 0
    assert project.ask("select count(*) from accounts where tombstoned_at is not null") == [(1,)]


def test_season_ends_with_its_last_day_in_local_time(project: Project) -> None:
    loaded(project, SUMMER + "timezone: America/Chicago\n")
    later = YEAR.without_users(YEAR.students()[:1])
    with on("2027-08-21T04:59:00"):
        assert plan(project, later).code == 3
    with on("2027-08-21T05:00:00"):
        assert plan(project, later).code == 2


def test_nothing_changes_while_it_is_frozen(project: Project) -> None:
    loaded(project, "  calendar: [{from: 2027-05-01, to: 2027-05-31, mode: freeze}]\n")
    later = YEAR.without_users(YEAR.students()[:1]).with_user("u-9001").with_user(YEAR.students()[1], givenName="Nova")
    counts = "select count(*), count(tombstoned_at), count(case when given_name = 'Nova' then 1 end) from accounts"
    before = project.ask(counts)
    with on("2027-05-15T12:00:00"):
        planned = plan(project, later)
        assert planned.code == 3
        assert planned.json["summary"]["held"] == sum(
            planned.json["summary"][name] for name in ("delete", "update", "create")
        )
        assert apply(project, later).code == 3
    assert project.ask(counts) == before
    with on("2027-06-01T12:00:00"):
        assert apply(project, later).code == 0


@pytest.mark.parametrize("mode", ["adds_only", "freeze"])
def test_a_season_in_which_nothing_changes_holds_nothing(project: Project, mode: str) -> None:
    loaded(project, f"  calendar: [{{from: 2027-05-01, to: 2027-05-31, mode: {mode}}}]\n")
    with on("2027-05-15T12:00:00"):
        assert plan(project, YEAR).code == 0
