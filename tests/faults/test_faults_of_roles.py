"""Faults from 166: roles of OneRoster 1.2, and rows by which somebody seems to have left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler import clock
from tests.support.customers.project import Project, changes
from tests.support.rosters.bundles import Bundle
from tests.support.schools.by_files import DAY_ONE, STUDENTS, School

ROLES = DAY_ONE.version12()
ONE, TWO = STUDENTS[:2]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def district(project: Project) -> School:
    """A school by OneRoster 1.2 on each of the two databases."""
    path = project.customer()
    path.write_text(path.read_text(encoding="utf-8") + '  version: "1.2"\n', encoding="utf-8")
    made = School(project)
    assert made.apply(ROLES).code == 0
    return made


def with_role(made: Bundle, user: str, **fields: str) -> Bundle:
    """Change the first role of a person."""
    return made.with_row("roles", f"r-{user}-1", **fields)


def test_166_a_role_of_nobody_holds_nothing_and_its_person_stays(district: School) -> None:
    made = with_role(ROLES, ONE, userSourcedId="").without_users([TWO])
    plan = district.plan(made)
    assert [(each["key"], each["held"]) for each in changes(plan, "user")] == [(TWO, False)]
    assert {"missing-value", "missing-role"} <= {each["code"] for each in plan.json["customers"][0]["diagnostics"]}


@pytest.mark.parametrize("known", [True, False])
def test_166_an_unknown_role_word_holds_its_person_alone(district: School, known: bool) -> None:
    made = ROLES.without_users([TWO]).with_user("u-new")
    wrong = with_role(made, ONE, role="wizard") if known else made.with_row("roles", "r-u-new", role="wizard")
    plan = district.plan(wrong)
    customer = plan.json["customers"][0]

    assert (plan.code, customer["outcome"]) == (2, "changes")
    assert "unidentified-row" not in {each["code"] for each in customer["diagnostics"]}
    leaving = [each for each in changes(plan, "user") if each["action"] == "delete"]
    assert [(each["key"], each["held"]) for each in leaving] == [(TWO, False)]
    assert district.apply(wrong).code == 0
    assert ("user", ONE) in district.live()
    assert ("user", TWO) not in district.live()
    assert (("user", "u-new") in district.live()) == known


def test_166_the_account_behind_a_new_id_with_such_a_word_stays(district: School) -> None:
    """The person has a new sourcedId and an unknown role on the same day: the identifier shows who it is."""
    made = ROLES.without_users([ONE, TWO])
    made = made.with_user(
        "u-renamed", identifier=next(row["identifier"] for row in ROLES.tables["users"] if row["sourcedId"] == ONE)
    ).with_row("roles", "r-u-renamed", role="wizard")
    plan = district.plan(made)
    assert [each["key"] for each in changes(plan, "user")] == [TWO]


def test_166_a_delta_keeps_the_person_too(district: School) -> None:
    wrong = with_role(ROLES, ONE, role="wizard")
    assert district.apply(wrong).code == 0
    later = wrong.without_users([TWO])
    plan = district.plan(wrong.delta(later))
    assert [(each["key"], each["held"]) for each in changes(plan, "user")] == [(TWO, False)]


def test_167_a_person_whose_roles_have_ended_leaves_and_says_why(district: School) -> None:
    made = with_role(ROLES, ONE, beginDate="2025-08-20", endDate="2026-06-11")
    plan = district.plan(made)
    assert [(each["action"], each["key"], each["reason"]) for each in changes(plan, "user")] == [
        ("delete", ONE, "role_ended")
    ]
    assert "their roles have ended" in district.project.run("plan", "springfield", "--zip", district.source(made)).out
    assert district.apply(made).code == 0
    assert ("user", ONE) not in district.live()
    assert district.plan(made).code == 0
    assert district.apply(ROLES).code == 0
    assert ("user", ONE) in district.live()


def test_167_the_end_of_many_roles_is_held(district: School) -> None:
    made = ROLES
    for each in STUDENTS[:30]:
        made = with_role(made, each, endDate="2026-06-11")
    district.held(made, "users")


def test_167_a_plan_changes_when_the_day_passes_where_the_customer_is(district: School) -> None:
    path = district.project.customer(more="timezone: Pacific/Auckland\n")
    path.write_text(path.read_text(encoding="utf-8").replace("rostering:", 'rostering:\n  version: "1.2"'))
    made = with_role(ROLES, ONE, endDate="2026-11-24")
    assert district.apply(ROLES).code == 0
    with clock.freeze_time(NOON - timedelta(hours=2)):
        assert changes(district.plan(made), "user") == []
    with clock.freeze_time(NOON):
        assert [each["key"] for each in changes(district.plan(made), "user")] == [ONE]


def test_167_the_last_good_roster_ends_roles_as_days_pass(district: School) -> None:
    made = with_role(ROLES, ONE, endDate="2026-11-24")
    with clock.freeze_time(NOON):
        assert district.apply(made).code == 0
        assert changes(district.project.plan("springfield", "--roster", "last"), "user") == []
    with clock.freeze_time(NOON + timedelta(days=1)):
        last = district.project.plan("springfield", "--roster", "last")
    assert [(each["key"], each["reason"]) for each in changes(last, "user")] == [(ONE, "role_ended")]


def test_168_a_role_to_come_adds_nobody_yet_and_removes_nobody(district: School) -> None:
    made = with_role(ROLES, ONE, beginDate="2026-11-25").with_user("u-new")
    made = made.with_row("roles", "r-u-new", beginDate="2026-11-25")
    made = made.with_row("enrollments", "e-new", classSourcedId="c-01", userSourcedId="u-new", role="student")
    with clock.freeze_time(NOON):
        customer = district.quiet(made)
        assert "role-to-come" in {each["code"] for each in customer["diagnostics"]}
    assert ("user", "u-new") not in district.live()
    with clock.freeze_time(NOON + timedelta(days=1)):
        assert district.apply(made).code == 0
    assert {("user", "u-new"), ("enrollment", "e-new")} <= district.live()


def test_168_dates_that_cannot_be_read_keep_the_live_role(district: School) -> None:
    made = ROLES.with_rows(
        "roles", [{**row, "beginDate": "8/20/2030", "endDate": "6/11/2020"} for row in ROLES.tables["roles"]]
    )
    customer = district.quiet(made)
    assert changes(district.plan(made), "user") == []
    assert "invalid-date" in {each["code"] for each in customer["diagnostics"]}


def test_169_inactive_is_told_apart_from_tobedeleted(anywhere: School) -> None:
    made = DAY_ONE.with_user(ONE, status="inactive").with_user(TWO, status="tobedeleted")
    path = anywhere.source(made)
    reasons = {each["key"]: each["reason"] for each in changes(anywhere.plan(path), "user")}
    assert reasons == {ONE: "roster_inactive", TWO: "roster_tobedeleted"}
    for key, words in ((ONE, "marks it as inactive"), (TWO, "marks it for deletion")):
        assert words in anywhere.project.run("explain", "springfield", key, "--zip", path).out
    text = anywhere.project.run("plan", "springfield", "--zip", path).out
    assert "inactive, users.csv:" in text
    assert "tobedeleted, users.csv:" in text
    assert "status inactive" in anywhere.project.run("roster", "check", path).out
    assert anywhere.apply(path).code == 0
    assert {("user", ONE), ("user", TWO)}.isdisjoint(anywhere.live())


def test_169_a_delta_keeps_the_word(school: School) -> None:
    rows = [{**row, "status": "inactive"} for row in DAY_ONE.tables["users"] if row["sourcedId"] == ONE]
    moment = {"dateLastModified": "2026-09-01T02:00:00.000Z"}
    made = Bundle({"users": tuple({**row, **moment} for row in rows)}, modes={"users": "delta"})
    plan = school.plan(made)
    assert [(each["key"], each["reason"]) for each in changes(plan, "user")] == [(ONE, "roster_inactive")]


def test_169_missing_keep_does_not_keep_the_inactive(school: School) -> None:
    path = school.project.customer()
    path.write_text(path.read_text(encoding="utf-8") + "  missing: keep\n", encoding="utf-8")
    plan = school.plan(DAY_ONE.with_user(ONE, status="inactive").without_users([TWO]))
    assert [each["key"] for each in changes(plan, "user")] == [ONE]


def identifier_of(key: str) -> str:
    return next(row["identifier"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == key)


def test_170_a_leaver_with_the_identifier_of_somebody_who_stays_is_named(anywhere: School) -> None:
    with_two = DAY_ONE.with_user(TWO, identifier=identifier_of(ONE))
    assert anywhere.apply(with_two).code == 0
    path = anywhere.source(with_two.without_users([ONE]))
    plan = anywhere.plan(path)
    (told,) = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "leaver-seems-to-stay"]
    assert told["message"] == f'"{ONE}" leaves, and "{TWO}", who stays, has the same identifier'
    assert f"merges: [{{keep: {TWO}, merge: {ONE}" in told["hint"]
    explained = anywhere.project.run("explain", "springfield", ONE, "--zip", path, "--people", "full").out
    assert "has the same identifier" in explained
    masked = anywhere.project.run("plan", "springfield", "--zip", path).out
    assert "leaver seems to stay" in masked
    assert TWO not in masked


def test_170_an_identifier_of_several_who_stay_is_nobodys(school: School) -> None:
    made = DAY_ONE
    for each in STUDENTS[:4]:
        made = made.with_user(each, identifier="0")
    assert school.apply(made).code == 0
    plan = school.plan(made.without_users([ONE]))
    assert "leaver-seems-to-stay" not in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}


@pytest.mark.parametrize(("same", "expected"), [(True, True), (False, False)])
def test_170_two_rows_of_one_person_with_one_username_name_merges(school: School, same: bool, expected: bool) -> None:
    one = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ONE)
    names = {name: one[name] for name in ("givenName", "familyName")} if same else {"givenName": "Somebody"}
    made = DAY_ONE.with_user("u-twin", username=one["username"].upper(), **names)
    found = school.aside(made, "duplicate-username", ONE)
    hints = [each["hint"] for each in found if each["severity"] == "error"]
    assert len(hints) == 2
    assert all(("rostering.merges" in hint) == expected for hint in hints)


def without_values(made: Bundle, people: list[str], field: str = "email") -> Bundle:
    for each in people:
        made = made.with_user(each, **{field: ""})
    return made


def set_limit(school: School, limit: str) -> None:
    path = school.project.customer()
    text = path.read_text(encoding="utf-8")
    path.write_text(text + f"  limits: {{vanishing_values: {limit}}}\n", encoding="utf-8")


@pytest.mark.parametrize(("limit", "held"), [("{floor: 2, percent: 1}", True), ("{floor: 3}", False)])
def test_171_the_limit_of_vanishing_values_is_a_key(school: School, limit: str, held: bool) -> None:
    set_limit(school, limit)
    assert school.plan(without_values(DAY_ONE, STUDENTS[:3])).code == (3 if held else 2)


def test_171_a_school_has_a_share_of_its_own(school: School) -> None:
    set_limit(school, "{percent: 50, per_school_percent: 1, floor: 0}")
    told = " ".join(
        school.project.run(
            "plan", "springfield", "--zip", school.source(without_values(DAY_ONE, STUDENTS[:2]))
        ).out.split()
    )
    assert "people at School" in told
    assert "would lose their email" in told


def test_171_values_that_vanish_night_by_night_fill_the_window(anywhere: School) -> None:
    first = without_values(DAY_ONE, STUDENTS[:5])
    second = without_values(first, STUDENTS[5:10])
    third = without_values(second, STUDENTS[10:11])
    with clock.freeze_time(NOON):
        assert anywhere.apply(first).code == 0
    with clock.freeze_time(NOON + timedelta(days=1)):
        # Those whose value is back count no more.
        assert anywhere.apply(DAY_ONE).code == 0
        assert anywhere.apply(first).code == 0
        told = " ".join(anywhere.project.run("plan", "springfield", "--zip", anywhere.source(third)).out.split())
    assert "6 of 95 people would lose their email; with 5 in the last 7 days that is 11, and the limit is 9." in told
    with clock.freeze_time(NOON + timedelta(days=2)):
        assert anywhere.plan(second).code == 3
    with clock.freeze_time(NOON + timedelta(days=9)):
        assert anywhere.apply(second).code == 0


def test_171_end_dates_of_enrollments_fill_it_too(anywhere: School) -> None:
    rows = DAY_ONE.tables["enrollments"]

    def blank(number: int) -> Bundle:
        return DAY_ONE.with_rows("enrollments", [{**row, "endDate": ""} for row in rows[:number]] + list(rows[number:]))

    assert anywhere.apply(blank(19)).code == 0
    told = " ".join(anywhere.project.run("plan", "springfield", "--zip", anywhere.source(blank(21))).out.split())
    assert "2 of 200 enrollments would lose their end date; with 19 in the last 7 days that is 21" in told


def in_school(org: str, parent: str, people: list[str]) -> Bundle:
    """Some pupils are in a new school, with a class of their own."""
    made = DAY_ONE.with_row("orgs", org, name="South School", type="school", parentSourcedId=parent)
    made = made.with_row("classes", "c-s", title="South 1", classType="scheduled", schoolSourcedId=org)
    for each in people:
        made = made.with_user(each, orgSourcedIds=org)
    return made


@pytest.mark.parametrize("ring", ["itself", "two"])
def test_172_pupils_of_a_school_that_is_its_own_ancestor_stay(anywhere: School, ring: str) -> None:
    before = anywhere.live()
    made = in_school("south", "south" if ring == "itself" else "north", STUDENTS[:4])
    if ring == "two":
        made = made.with_row("orgs", "north", name="North", type="department", parentSourcedId="south")
    path = anywhere.source(made)
    plan = anywhere.plan(path)
    told = plan.json["customers"][0]["diagnostics"]
    assert (plan.code, changes(plan, "user")) == (0, [])
    named = "South School (south) is its own ancestor in orgs.csv; 4 people and 1 class are in it"
    assert [each["message"].startswith(named) for each in told if each["code"] == "unplaced-org"].count(True) == 1
    assert "org-cycle" in {each["code"] for each in told}
    assert anywhere.apply(path).code == 0
    assert anywhere.live() == before
    checked = anywhere.project.run("roster", "check", path)
    assert checked.code == 0
    assert named in checked.out


def test_172_a_known_school_that_became_its_own_parent_keeps_everything(anywhere: School) -> None:
    customer = anywhere.quiet(DAY_ONE.with_row("orgs", "s-1", parentSourcedId="s-1"))
    assert customer["changes"] == []
    assert anywhere.plan(DAY_ONE).code == 0


def test_172_a_district_below_its_own_state_takes_no_other_district(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "state", name="State", type="state", parentSourcedId="d-1")
    made = made.with_row("orgs", "d-1", parentSourcedId="state")
    made = made.with_row("orgs", "d-2", name="Other", type="district", parentSourcedId="state")
    made = made.with_user("u-other", orgSourcedIds="d-2")
    customer = school.quiet(made)
    assert customer["changes"] == []


def test_172_a_first_roster_of_orgs_that_are_their_own_parents_names_the_key(project: Project) -> None:
    made = DAY_ONE.with_rows("orgs", [{**row, "parentSourcedId": row["sourcedId"]} for row in DAY_ONE.tables["orgs"]])
    project.customer()
    path = made.zip(project.folder / "own.zip")
    plan = project.plan("springfield", "--zip", path)
    (told,) = plan.json["customers"][0]["diagnostics"][-1:]
    assert (plan.code, told["code"]) == (3, "schools-without-parent")
    settings = project.customer()
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text + "  schools_without_parent: ours\n", encoding="utf-8")
    assert project.apply("springfield", "--zip", path).code == 0
    assert project.plan("springfield", "--zip", path).code == 0
    for each in ("", "d-1"):
        later = made.with_row("orgs", "s-1", parentSourcedId=each).zip(path)
        assert project.plan("springfield", "--zip", later).code == 0


def test_172_a_delta_that_closes_a_circle_loses_nobody(school: School) -> None:
    made = in_school("south", "d-1", STUDENTS[:4])
    assert school.apply(made).code == 0
    before = school.live()
    later = made.with_row("orgs", "south", parentSourcedId="south").with_user("u-new", orgSourcedIds="south")
    assert school.apply(made.delta(later)).code == 0
    assert before <= school.live()


def test_172_check_names_schools_of_no_district_among_several(school: School) -> None:
    made = in_school("south", "", STUDENTS[:4]).with_row("orgs", "d-2", name="Other", type="district")
    path = school.source(made)
    checked = school.project.run("roster", "check", path)
    assert checked.code == 0
    assert "South School (south) has no parent in orgs.csv; 4 people and 1 class are in it" in checked.out
    assert "schools_without_parent" not in checked.out
    assert "5 quarantined rows" in checked.out


def test_168_an_account_whose_person_comes_back_later_under_a_new_id_keeps_its_classes(district: School) -> None:
    """The person, their enrollments and their role have new sourcedIds, and the role is to come."""
    made = ROLES.without_users([ONE]).with_user("u-renamed", identifier=identifier_of(ONE))
    made = made.with_row("roles", "r-u-renamed", beginDate="2026-12-20")
    theirs = [row for row in ROLES.tables["enrollments"] if row["userSourcedId"] == ONE]
    for number, row in enumerate(theirs):
        made = made.with_row("enrollments", f"e-new-{number}", **{**row, "sourcedId": f"e-new-{number}"})
        made = made.with_row("enrollments", f"e-new-{number}", userSourcedId="u-renamed")
    assert theirs
    with clock.freeze_time(NOON):
        assert district.quiet(made)["changes"] == []


def test_172_a_school_below_a_circle_of_offices_has_not_left(district: School) -> None:
    made = DAY_ONE.with_row("orgs", "a", name="A", type="local", parentSourcedId="b")
    made = made.with_row("orgs", "b", name="B", type="local", parentSourcedId="a")
    made = made.with_row("orgs", "south", name="South", type="school", parentSourcedId="b")
    for each in STUDENTS[:4]:
        made = made.with_user(each, orgSourcedIds="south")
    plan = district.plan(made.version12())
    assert (plan.code, changes(plan, "user")) == (0, [])
    assert "unplaced-org" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}


def test_172_a_known_school_that_moves_below_them_keeps_everything(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "a", name="A", type="local", parentSourcedId="b")
    made = made.with_row("orgs", "b", name="B", type="local", parentSourcedId="a")
    assert school.quiet(made.with_row("orgs", "s-1", parentSourcedId="b"))["changes"] == []
    north = DAY_ONE.with_row("orgs", "north", name="North", type="department", parentSourcedId="")
    assert school.quiet(north.with_row("orgs", "s-1", parentSourcedId="north"))["changes"] == []


def test_172_another_district_may_be_its_own_parent(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "d-2", name="Other", type="district", parentSourcedId="d-2")
    for each in STUDENTS[:4]:
        made = made.with_user(each, orgSourcedIds="d-2")
    assert [each["reason"] for each in changes(school.plan(made), "user")] == ["scope_narrowed"] * 4


def with_next_role(made: Bundle, user: str, org: str, **fields: str) -> Bundle:
    """The first role of a person has ended, and there is a next one."""
    next_role = {"userSourcedId": user, "roleType": "primary", "role": "student", "orgSourcedId": org} | fields
    return with_role(made, user, endDate="2026-06-11").with_row("roles", f"r-{user}-next", **next_role)


@pytest.mark.parametrize("parent", ["", "nowhere", "south"])
def test_167_a_pupil_whose_next_school_is_nobodys_has_not_left(district: School, parent: str) -> None:
    made = ROLES.with_row("orgs", "south", name="South School", type="school", parentSourcedId=parent)
    customer = district.quiet(with_next_role(made, ONE, "south"))
    assert customer["changes"] == []
    assert "unplaced-org" in {each["code"] for each in customer["diagnostics"]}


def test_167_a_pupil_whose_next_school_is_not_in_the_file_has_not_left(district: School) -> None:
    made = with_next_role(ROLES, ONE, "south")
    (told,) = [each for each in district.aside(made, "unplaced-org", ONE) if each["severity"] == "error"]
    assert told["message"] == f'person "{ONE}" has a role in south, which is not in orgs.csv'
    assert changes(district.project.plan("springfield", "--roster", "last"), "user") == []


def test_167_a_pupil_whose_next_role_has_ended_too_has_left(district: School) -> None:
    made = ROLES.with_row("orgs", "south", name="South School", type="school", parentSourcedId="")
    plan = district.plan(with_next_role(made, ONE, "south", endDate="2026-06-11"))
    assert [(each["key"], each["reason"]) for each in changes(plan, "user")] == [(ONE, "role_ended")]


def test_166_a_role_of_nobody_may_be_the_next_one_of_somebody(district: School) -> None:
    made = with_next_role(ROLES, ONE, "s-1", userSourcedId="").without_users([TWO])
    plan = district.plan(made)
    assert [each["key"] for each in changes(plan, "user")] == [TWO]
    theirs = {row["sourcedId"] for row in ROLES.tables["enrollments"] if row["userSourcedId"] == ONE}
    assert theirs.isdisjoint(each["key"] for each in changes(plan, "enrollment"))
    assert "unclear-role" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}


def test_166_a_role_of_nobody_may_be_that_of_somebody_in_two_districts(district: School) -> None:
    made = ROLES.with_row("orgs", "d-2", name="Other", type="district")
    other = {"userSourcedId": ONE, "roleType": "secondary", "role": "student", "orgSourcedId": "d-2"}
    both = made.with_row("roles", "r-other", **other)
    assert district.quiet(both)["changes"] == []
    assert district.quiet(with_role(both, ONE, userSourcedId=""))["changes"] == []


def test_168_a_person_without_values_whose_role_is_to_come_holds_nothing(district: School) -> None:
    made = ROLES.without_users([TWO]).with_user("u-new", identifier="", email="", username="")
    made = made.with_row("roles", "r-u-new", beginDate="2026-11-25")
    with clock.freeze_time(NOON):
        plan = district.plan(made)
    assert [(each["key"], each["held"]) for each in changes(plan, "user")] == [(TWO, False)]


def test_166_a_role_of_nobody_keeps_somebody_in_later_deltas_too(district: School) -> None:
    later = with_next_role(ROLES, ONE, "s-1", userSourcedId="")
    assert changes(district.plan(ROLES.delta(later)), "user") == []
    assert district.apply(ROLES.delta(later)).code == 0
    next_day = later.with_user(TWO, givenName="Other")
    assert [each["key"] for each in changes(district.plan(later.delta(next_day)), "user")] == [TWO]
