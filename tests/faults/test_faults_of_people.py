"""Faults 102 to 114: people and values that a roster seems to have lost."""

from pathlib import Path

import pytest

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.schools.by_files import DAY_ONE, STUDENTS, School

ONE = STUDENTS[0]
MOVED = [each for each in STUDENTS if DAY_ONE.tables["users"][int(each[2:]) - 1]["orgSourcedIds"] == "s-1"][:4]


def codes(result: Result) -> set[str]:
    return {each["code"] for each in result.json["customers"][0]["diagnostics"]}


def read_plan(project: Project, path: Path) -> str:
    """Return the plan as people read it, without line breaks."""
    return " ".join(project.run("plan", "springfield", "--zip", path).out.split())


def in_new_school(parent: str, people: list[str] = MOVED) -> Bundle:
    """Some pupils of s-1 are now in `south`, with a class of their own."""
    made = DAY_ONE.with_row("orgs", "south", name="South School", type="school", parentSourcedId=parent)
    made = made.with_row(
        "classes", "c-s", title="South 1", classType="scheduled", schoolSourcedId="south", courseSourcedId="x"
    )
    for each in people:
        made = made.with_user(each, orgSourcedIds="south")
    return made


def without_parents(made: Bundle = DAY_ONE) -> Bundle:
    """As some exports write it: no org has a parent."""
    return made.with_rows("orgs", [{**row, "parentSourcedId": ""} for row in made.tables["orgs"]])


def take_schools(school: School, value: str = "ours") -> None:
    path = school.project.customer()
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("  match_with:", f"  schools_without_parent: {value}\n  match_with:"), encoding="utf-8"
    )


@pytest.mark.parametrize("parent", ["", "gone"])
def test_102_pupils_of_a_school_without_a_parent_stay_and_the_school_is_named(anywhere: School, parent: str) -> None:
    before = anywhere.live()
    made = in_new_school(parent)
    plan = anywhere.plan(made)

    assert plan.code == 0
    assert changes(plan, "user") == []
    (told,) = [
        each
        for each in plan.json["customers"][0]["diagnostics"]
        if (each["code"], each["severity"]) == ("unplaced-org", "warning")
    ]
    assert "South School (south)" in told["message"]
    assert "4 people and 1 class are in it" in told["message"]
    assert ("gone" in told["message"]) == bool(parent)
    assert "schools_without_parent: ours" in told["hint"]
    assert plan.json["customers"][0]["counts"]["user"]["quarantined"] == 4
    assert anywhere.apply(made).code == 0
    assert anywhere.live() == before
    last = anywhere.project.plan("springfield", "--roster", "last")
    assert (last.code, changes(last, "user")) == (0, [])


def test_102_check_and_explain_name_the_school(school: School) -> None:
    path = school.source(in_new_school("").with_user("u-new", orgSourcedIds="south"))
    checked = school.project.run("roster", "check", path)
    assert checked.code == 0
    assert "South School (south) has no parent in orgs.csv; 5 people and 1 class are in it" in checked.out
    for key in (MOVED[0], "u-new"):
        explained = school.project.run("explain", "springfield", key, "--zip", path, "--people", "full")
        assert "South School (south), which has no parent in orgs.csv" in explained.out + explained.err


def test_102_a_live_class_that_moved_to_such_a_school_keeps_its_enrollments(school: School) -> None:
    before = school.live()
    made = in_new_school("").with_row("classes", "c-02", schoolSourcedId="south")
    assert school.apply(made).code == 0
    assert before <= school.live()


def test_102_a_known_school_keeps_its_people_and_its_parent_without_one_in_the_file(school: School) -> None:
    customer = school.quiet(DAY_ONE.with_row("orgs", "s-1", parentSourcedId=""))
    assert customer["changes"] == []


def test_102_a_pupil_of_another_district_left_and_one_of_a_school_below_it_too(school: School) -> None:
    made = in_new_school("d-2").with_row("orgs", "d-2", name="Other", type="district")
    plan = school.plan(made)
    assert [(each["key"], each["reason"]) for each in changes(plan, "user")] == [
        (each, "scope_narrowed") for each in MOVED
    ]


@pytest.mark.parametrize("more", ["nobody", "administrator", "bad row"])
def test_103_a_file_without_parents_is_refused_with_the_key_to_write(project: Project, more: str) -> None:
    project.customer()
    made = without_parents()
    if more == "administrator":
        made = made.with_user("chief", orgSourcedIds="d-1", role="administrator")
    if more == "bad row":
        made = made.with_user(ONE, role="wizard")
    path = made.zip(project.folder / "first.zip")
    plan = project.plan("springfield", "--zip", path)

    customer = plan.json["customers"][0]
    assert (plan.code, customer["outcome"]) == (3, "refused")
    (told,) = customer["diagnostics"][-1:]
    assert told["code"] == "schools-without-parent"
    assert "School 1 (s-1) has no parent in orgs.csv" in told["message"]
    assert "schools_without_parent: ours" in told["hint"]
    assert project.apply("springfield", "--zip", path).code == 3
    assert "schools-without-parent" in project.run("roster", "check", path).out


def test_103_the_key_takes_all_schools_of_the_only_district(anywhere: School) -> None:
    take_schools(anywhere)
    customer = anywhere.quiet(without_parents())
    assert all(change["kind"] == "customer" for change in customer["changes"])
    plan = anywhere.plan(without_parents(in_new_school("")))
    assert {change["action"] for change in changes(plan, "user")} == {"update"}


def test_103_the_key_takes_nothing_where_another_district_is_in_the_file(school: School) -> None:
    take_schools(school)
    made = in_new_school("").with_row("orgs", "d-2", name="Other", type="district")
    plan = school.plan(made)
    assert "schools-of-several-districts" in codes(plan)
    assert changes(plan, "user") == []


def test_103_a_school_of_nobody_is_no_reason_to_refuse_a_district_of_one_office(project: Project) -> None:
    """All people are at the district itself, but for two in a school without a parent."""
    project.customer()
    made = bundle(users=20)
    for each in made.ids("users"):
        made = made.with_user(each, orgSourcedIds="d-1" if each > "u-0002" else "s-1")
    made = made.with_row("orgs", "s-1", parentSourcedId="")
    plan = project.plan("springfield", "--zip", made.zip(project.folder / "first.zip"))
    assert plan.code == 2
    assert len(changes(plan, "user")) == 18


def every(table: str, made: Bundle = DAY_ONE, **fields: str) -> Bundle:
    return made.with_rows(table, [{**row, **fields} for row in made.tables[table]])


def numbered(*numbers: int, **fields: str) -> Bundle:
    """The people with these numbers have other fields."""
    made = DAY_ONE
    for number in numbers:
        made = made.with_user(f"u-{number:04d}", **fields)
    return made


UNREADABLE = {
    "enabledUser": (every("users", enabledUser="null"), "users"),
    "orgSourcedIds": (every("users", orgSourcedIds=""), "users"),
    "ids of enrollments": (every("enrollments", sourcedId=""), "enrollments"),
    "ids of users": (every("users", sourcedId=""), "users"),
    "users of 1.2": (every("users", role="", orgSourcedIds=""), "users"),
    "header-only roles.csv": (DAY_ONE.version12().with_rows("roles", []), "users"),
    "schools of classes": (every("classes", schoolSourcedId=""), "classes"),
    "types of orgs": (every("orgs", type=""), "orgs"),
    "one username for all": (every("users", username="student"), "users"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_104_a_file_that_cannot_be_read_for_most_of_its_rows_is_refused(school: School, fault: str) -> None:
    made, file = UNREADABLE[fault]
    told = school.refused(made, "most-rows-quarantined")
    assert f"rows of {file}.csv are quarantined" in told["message"]


@pytest.mark.parametrize("fault", ["enabledUser", "header-only roles.csv", "ids of users"])
def test_104_a_first_load_of_nobody_is_refused_too(project: Project, fault: str) -> None:
    project.customer()
    made, _ = UNREADABLE[fault]
    path = made.zip(project.folder / "first.zip")
    plan = project.plan("springfield", "--zip", path)
    assert (plan.code, plan.json["customers"][0]["outcome"]) == (3, "refused")
    assert project.apply("springfield", "--zip", path).code == 3
    checked = project.run("roster", "check", path)
    assert "error: " in checked.out.splitlines()[0]
    assert "[most-rows-quarantined]" in checked.out


def test_104_the_cause_is_named_before_its_consequences(school: School) -> None:
    customer = school.plan(UNREADABLE["ids of users"][0]).json["customers"][0]
    files = [each["file"] for each in customer["diagnostics"] if each["code"] == "most-rows-quarantined"]
    assert files == ["users.csv", "enrollments.csv"]


def test_105_many_quarantined_rows_hold_every_loss(anywhere: School) -> None:
    made = numbered(*range(40, 60), enabledUser="null").without_users(["u-0099", "u-0098"])
    customer = anywhere.held(made, "many-quarantined-rows")
    (told,) = [each for each in customer["diagnostics"] if each["code"] == "many-quarantined-rows"]
    assert "20 of 98 rows of users.csv are quarantined" in told["message"]
    assert "enabledUser is neither true nor false" in told["message"]
    assert {change["held"] for change in customer["changes"] if change["kind"] == "user"} == {True}


def test_105_usernames_that_many_share_hold_too(school: School) -> None:
    made = numbered(*range(40, 60), username="pupil").without_users(["u-0099"])
    school.held(made, "many-quarantined-rows")


def test_106_a_few_quarantined_rows_are_counted_in_every_report(school: School) -> None:
    path = school.source(numbered(40, 41, enabledUser="null"))
    for form in ("text", "markdown", "html"):
        assert "2 rows quarantined" in school.project.run("plan", "springfield", "--zip", path, "--format", form).out


ENDS = "SELECT count(*) FROM enrollments WHERE begin_date = '2026-08-20' AND end_date = '2027-06-11'"


def test_107_dates_that_cannot_be_read_keep_those_of_the_store(anywhere: School) -> None:
    before = anywhere.project.ask(ENDS)
    made = every("enrollments", beginDate="8/20/2026", endDate="6/11/2027", primary="perhaps")
    customer = anywhere.quiet(made)
    assert customer["changes"] == []
    told = {each["code"]: each["message"] for each in customer["diagnostics"]}
    assert "a known record keeps its value" in told["invalid-date"]
    assert anywhere.project.ask(ENDS) == before
    assert before[0][0] > 0


def test_107_a_delta_over_such_a_roster_keeps_them_too(school: School) -> None:
    before = school.project.ask(ENDS)
    made = every("enrollments", endDate="6/11/2027")
    assert school.apply(made).code == 0
    assert school.apply(made.delta(made.with_user(ONE, familyName="Other"))).code == 0
    assert school.project.ask(ENDS) == before


def test_107_other_values_of_the_same_row_still_change(school: School) -> None:
    rows = [{**row, "endDate": "6/11/2027", "beginDate": "2026-09-01"} for row in DAY_ONE.tables["enrollments"][:3]]
    made = DAY_ONE.with_rows("enrollments", [*rows, *DAY_ONE.tables["enrollments"][3:]])
    found = changes(school.plan(made), "enrollment")
    assert [[field["path"] for field in each["fields"]] for each in found] == [["begin_date"]] * 3


@pytest.mark.parametrize(
    ("table", "field", "words"),
    [
        ("users", "identifier", "identifier"),
        ("users", "email", "email"),
        ("users", "grades", "grade"),
        ("enrollments", "endDate", "end date"),
        ("enrollments", "primary", "primary flag"),
        ("classes", "termSourcedIds", "terms"),
    ],
)
def test_108_a_value_that_vanishes_for_many_is_held(anywhere: School, table: str, field: str, words: str) -> None:
    path = anywhere.source(every(table, **{field: ""}))
    customer = anywhere.plan(path).json["customers"][0]
    assert customer["outcome"] == "held"
    assert f"would lose their {words}" in read_plan(anywhere.project, path)
    assert anywhere.apply(path).code == 3
    assert anywhere.apply(DAY_ONE).code == 0
    assert anywhere.plan(DAY_ONE).code == 0


def test_108_a_few_values_may_vanish_and_all_of_a_small_school_may_not(project: Project) -> None:
    project.customer()
    made = bundle(users=100)
    small = ["u-0090", "u-0091"]
    made = made.with_row("orgs", "s-3", name="Small", type="school", parentSourcedId="d-1")
    for each in small:
        made = made.with_user(each, orgSourcedIds="s-3")
    path = project.folder / "day.zip"
    assert project.apply("springfield", "--zip", made.zip(path)).code == 0

    few = made.with_user("u-0003", email="").with_user("u-0004", email="")
    assert project.plan("springfield", "--zip", few.zip(path)).code == 2
    for each in small:
        made = made.with_user(each, email="")
    assert "2 of 2 people at Small would lose their email." in read_plan(project, made.zip(path))


def test_109_a_roster_without_values_to_match_with_is_warned_of_at_once(project: Project) -> None:
    project.customer()
    path = every("users", identifier="").zip(project.folder / "first.zip")
    plan = project.plan("springfield", "--zip", path)
    (told,) = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "few-match-values"]
    assert "0 of 100 people" in told["message"]
    assert "email has 100" in told["hint"]


FEW = STUDENTS[:3]


def with_grade(grade: str) -> Bundle:
    made = DAY_ONE
    for each in FEW:
        made = made.with_user(each, grades=grade, orgSourcedIds="s-1")
    return made


def test_110_a_whole_grade_of_a_school_that_leaves_is_held_with_those_words(anywhere: School) -> None:
    assert anywhere.apply(with_grade("04")).code == 0
    made = with_grade("04").without_users(FEW)
    customer = anywhere.plan(made).json["customers"][0]
    assert customer["outcome"] == "held"
    assert "Nobody of grade 04 would be left: all 3 would go." in read_plan(anywhere.project, anywhere.source(made))
    before = anywhere.live()
    assert anywhere.apply(made).code == 3
    assert before <= anywhere.live()


def test_110_at_one_school_the_school_is_named(school: School) -> None:
    made = with_grade("04").with_user("u-0097", grades="04", orgSourcedIds="s-2")
    made = made.with_user("u-0099", grades="04", orgSourcedIds="s-2")
    assert school.apply(made).code == 0
    told = read_plan(school.project, school.source(made.without_users(FEW)))
    assert "Nobody of grade 04 at School 1 would be left: all 3 would go." in told
    assert told.count("would be left") == 1


def test_110_promotion_is_no_loss_and_neither_is_a_grade_that_others_come_into(school: School) -> None:
    assert school.apply(with_grade("04")).code == 0
    assert school.plan(with_grade("06")).code == 2
    come = with_grade("04").without_users(FEW).with_user("u-0096", grades="04")
    assert school.plan(come).code == 2


def test_111_an_approval_in_advance_releases_a_graduating_class(school: School) -> None:
    assert school.apply(with_grade("12")).code == 0
    path = school.project.customer()
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "  approvals: [{people: 3, until: 2099-07-01, reason: graduates}]\n", encoding="utf-8")
    plan = school.plan(with_grade("12").without_users(FEW))
    assert plan.code == 2
    assert "approved-in-advance" in codes(plan)


def test_102_a_school_below_a_department_without_a_parent_is_protected_in_1_2_too(project: Project) -> None:
    project.customer()
    path = project.folder / "day.zip"
    assert project.apply("springfield", "--zip", DAY_ONE.version12().zip(path)).code == 0
    made = in_new_school("north").with_row("orgs", "north", name="North", type="department")
    plan = project.plan("springfield", "--zip", made.version12().zip(path))
    assert (plan.code, changes(plan, "user")) == (0, [])
    (told,) = [
        each["message"]
        for each in plan.json["customers"][0]["diagnostics"]
        if (each["code"], each["severity"]) == ("unplaced-org", "warning")
    ]
    assert "North (north) has no parent in orgs.csv; 4 people and 1 class are in it" in told


def test_108_a_column_that_is_missing_is_held_like_a_blank_one(school: School) -> None:
    lines = [line.split(",") for line in DAY_ONE.text("users").splitlines()]
    place = lines[0].index("identifier")
    text = "".join(",".join(line[:place] + line[place + 1 :]) + "\n" for line in lines)
    path = school.source(DAY_ONE.raw("users.csv", text.encode()))
    assert "100 of 100 people would lose their identifier." in read_plan(school.project, path)
    rekeyed = DAY_ONE.with_rows(
        "users", [{**row, "sourcedId": f"n-{row['sourcedId']}"} for row in DAY_ONE.tables["users"]]
    )
    rekeyed = rekeyed.with_rows(
        "enrollments",
        [{**row, "userSourcedId": f"n-{row['userSourcedId']}"} for row in DAY_ONE.tables["enrollments"]],
    )
    assert school.apply(path).code == 3
    assert {change["action"] for change in changes(school.plan(rekeyed), "user")} == {"rekey"}


def test_110_all_teachers_of_a_school_who_leave_are_held_with_those_words(school: School) -> None:
    staff = [row["sourcedId"] for row in DAY_ONE.tables["users"] if row["role"] == "teacher"]
    theirs = [each for each in staff if DAY_ONE.tables["users"][int(each[2:]) - 1]["orgSourcedIds"] == "s-2"]
    assert theirs
    made = DAY_ONE
    for each in [*staff, STUDENTS[1], STUDENTS[3]]:
        made = made.with_user(each, role="teacher", orgSourcedIds="s-1")
    for each in [*theirs[:1], staff[-1]]:
        made = made.with_user(each, orgSourcedIds="s-2")
    two = {*theirs[:1], staff[-1]}
    assert len(two) == 2
    path = school.project.customer()
    path.write_text(path.read_text(encoding="utf-8") + "  limits: {role_escalations: {count: 9}}\n", encoding="utf-8")
    assert school.apply(made).code == 0
    told = read_plan(school.project, school.source(made.without_users(two)))
    assert "No teacher at School 2 would be left: all 2 would go." in told
