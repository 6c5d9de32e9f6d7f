"""Faults 39 to 57: the contents of rows."""

from __future__ import annotations

import pytest

from tests.support.schools.by_files import DAY_ONE, STUDENTS, School

ONE, OTHER = STUDENTS[0], STUDENTS[1]
SESSIONS = "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n"


def doubled(**fields: str) -> object:
    row = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ONE)
    return DAY_ONE.with_rows("users", [*DAY_ONE.tables["users"], {**row, **fields}])


def settings(school: School, more: str) -> None:
    path = school.project.customer()
    path.write_text(path.read_text(encoding="utf-8").rstrip() + "\n" + more, encoding="utf-8")


def test_39_duplicate_row_is_reported_and_kept_once(school: School) -> None:
    school.told(doubled(), "repeated-row")


def test_40_conflicting_rows_of_one_sourced_id_are_quarantined(school: School) -> None:
    found = school.aside(doubled(familyName="Other"), "duplicate-sourced-id", ONE)
    lines = {DAY_ONE.ids("users").index(ONE) + 2, len(DAY_ONE.tables["users"]) + 2}
    assert {each["line"] for each in found} == lines
    assert all(str(line) in found[0]["message"] for line in lines)


def test_41_orphaned_enrollment_is_quarantined_and_many_hold(school: School) -> None:
    rows = list(DAY_ONE.tables["enrollments"])
    one = DAY_ONE.with_rows("enrollments", [*rows, {**rows[0], "sourcedId": "e-x", "userSourcedId": "nobody"}])
    school.aside(one, "dangling-reference", kind="enrollment")
    many = DAY_ONE.with_rows("enrollments", [{**row, "userSourcedId": "nobody"} for row in rows[:40]] + rows[40:])
    customer = school.plan(many.without_class("c-01")).json["customers"][0]
    assert customer["outcome"] == "held"
    assert "many-dangling-references" in {each["code"] for each in customer["diagnostics"]}


def test_42_class_needs_a_school_but_no_course(school: School) -> None:
    made = DAY_ONE.with_row("classes", "c-01", schoolSourcedId="s-99")
    school.aside(made, "dangling-reference", kind="class")
    assert ("class", "c-01") in school.live()
    school.quiet(DAY_ONE.with_row("classes", "c-02", courseSourcedId="", termSourcedIds=""))


@pytest.mark.parametrize("cycle", [("s-1",), ("s-1", "s-2")])
def test_43_circular_orgs_are_shown_and_lose_nobody(school: School, cycle: tuple[str, ...]) -> None:
    made = DAY_ONE
    for place, org in enumerate(cycle):
        made = made.with_row("orgs", org, parentSourcedId=cycle[(place + 1) % len(cycle)])
    assert " -> ".join((*cycle, cycle[0])) in school.told(made, "org-cycle")["message"]


def test_43_sessions_in_a_circle_are_refused(school: School) -> None:
    text = SESSIONS + "t-1,,,A,term,2026-08-20,2027-06-11,t-2,2027\nt-2,,,B,term,2026-08-20,2027-06-11,t-1,2027\n"
    school.refused(DAY_ONE.raw("academicSessions.csv", text.encode()), "session-cycle")


def test_44_missing_parent_or_another_root_is_reported(school: School) -> None:
    school.told(DAY_ONE.with_row("orgs", "s-2", parentSourcedId="gone"), "dangling-parent")
    school.told(DAY_ONE.with_row("orgs", "d-9", name="Second", type="district"), "several-roots")


def test_44_new_root_above_the_old_one_is_held(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "d-9", name="State", type="state").with_row("orgs", "d-1", parentSourcedId="d-9")
    school.held(made.without_users([ONE]), "root-changed")


def test_45_vanished_school_holds_below_every_percentage(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "s-3", name="Small School", type="school", parentSourcedId="d-1")
    for number in range(2):
        made = made.with_user(
            f"small-{number}", orgSourcedIds="s-3", username=f"small{number}", identifier=f"33{number}"
        )
    assert school.apply(made).code == 0
    customer = school.held(DAY_ONE, "org-vanished")
    assert {each["key"] for each in customer["changes"] if each["kind"] == "user" and each["held"]} == {
        "small-0",
        "small-1",
    }


def test_46_role_in_capitals_is_read_and_unknown_never_teaches(school: School) -> None:
    school.told(DAY_ONE.with_user(ONE, role="Student"), "value-spelling")
    school.aside(DAY_ONE.with_user(ONE, role="wizard"), "unknown-role", ONE)
    role = school.project.ask(
        f"SELECT a.role FROM accounts a JOIN identities i ON i.account_id = a.id WHERE i.subject = '{ONE}'"
    )
    assert role == [("student",)]


@pytest.mark.parametrize("role", ["teacher", "administrator"])
def test_47_nobody_becomes_teacher_or_administrator_without_approval(school: School, role: str) -> None:
    customer = school.held(DAY_ONE.with_user(ONE, role=role), "role_escalations")
    assert [each["key"] for each in customer["changes"] if each["held"] and each["kind"] == "user"] == [ONE]


def test_47_a_new_administrator_waits_as_well(school: School) -> None:
    made = DAY_ONE.with_user("boss", role="administrator", username="boss", identifier="1")
    school.held(made, "role_escalations")
    assert ("user", "boss") not in school.live()


def test_48_disabled_people_are_suspended_and_marked_ones_leave(school: School) -> None:
    made = DAY_ONE.with_user(ONE, enabledUser="false").with_user(OTHER, status="tobedeleted")
    customer = school.plan(made).json["customers"][0]
    actions = {each["key"]: (each["action"], each["reason"]) for each in customer["changes"] if each["kind"] == "user"}
    assert actions == {ONE: ("suspend", "roster_disabled"), OTHER: ("delete", "roster_tobedeleted")}


def test_49_two_people_with_one_username_stay_unchanged(school: School) -> None:
    username = next(row["username"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == OTHER)
    school.aside(DAY_ONE.with_user(ONE, username=username), "duplicate-username", ONE, OTHER)


def test_49_two_who_swap_usernames_swap_them(school: School) -> None:
    names = {row["sourcedId"]: row["username"] for row in DAY_ONE.tables["users"]}
    made = DAY_ONE.with_user(ONE, username=names[OTHER]).with_user(OTHER, username=names[ONE])
    school.quiet(made)
    found = dict(
        school.project.ask("SELECT i.subject, a.username FROM accounts a JOIN identities i ON i.account_id = a.id")
    )
    assert (found[ONE], found[OTHER]) == (names[OTHER], names[ONE])


def test_50_person_with_new_id_keeps_account_but_many_hold(school: School) -> None:
    def rekeyed(number: int) -> object:
        new = {key: f"n-{key}" for key in STUDENTS[:number]}

        def renamed(row: object, column: str) -> dict[str, str]:
            return {**row, column: new.get(row[column], row[column])}  # type: ignore[dict-item, index]

        made = DAY_ONE.with_rows("users", [renamed(row, "sourcedId") for row in DAY_ONE.tables["users"]])
        return made.with_rows("enrollments", [renamed(row, "userSourcedId") for row in DAY_ONE.tables["enrollments"]])

    accounts = school.accounts()
    customer = school.plan(rekeyed(3)).json["customers"][0]
    assert customer["counts"]["user"]["rekey"] == 3
    assert customer["counts"]["user"]["delete"] == 0
    assert school.apply(rekeyed(3)).code == 0
    assert school.accounts() == accounts
    many = school.plan(rekeyed(40)).json["customers"][0]
    assert many["outcome"] == "held"
    assert {each["name"] for each in many["limits"] if each["exceeded"]} == {"rekeys"}
    school.apply(rekeyed(40))
    assert school.accounts() == accounts


def test_51_a_suffix_that_changes_everybodys_username_is_held(school: School) -> None:
    """A suffix cannot make two usernames equal: all get the same one, and none is shortened."""
    settings(school, '  suffix: "@springfield"\n')
    before = dict(school.project.ask("SELECT id, username FROM accounts"))
    plan = school.plan(DAY_ONE)
    assert plan.code == 3
    assert {each["name"] for each in plan.json["customers"][0]["limits"] if each["exceeded"]} == {"updates"}
    assert school.apply(DAY_ONE).code == 3
    assert dict(school.project.ask("SELECT id, username FROM accounts")) == before


def test_52_a_narrowed_selection_holds_apart_from_deletions(school: School) -> None:
    settings(school, "  select: {schools: [s-1]}\n")
    customer = school.held(DAY_ONE, "scope_narrowed")
    uses = {each["name"]: each["seen"] for each in customer["limits"] if each["scope"] == "customer"}
    assert uses["scope_narrowed"] > 0
    assert uses["users"] == 0
    reasons = {each["reason"] for each in customer["changes"] if each["kind"] == "user"}
    assert reasons == {"scope_narrowed"}


def test_53_ended_term_concludes_and_earlier_removal_is_held(school: School) -> None:
    def sessions(end: str) -> bytes:
        return (SESSIONS + f"t-1,,,A,term,2026-01-01,{end},,2026\nt-2,,,B,term,2026-01-01,{end},,2026\n").encode()

    none = DAY_ONE.with_rows("classes", DAY_ONE.tables["classes"][:1]).with_rows(
        "enrollments", [row for row in DAY_ONE.tables["enrollments"] if row["classSourcedId"] == "c-01"]
    )
    running = school.plan(none.raw("academicSessions.csv", sessions("2999-01-01"))).json["customers"][0]
    assert running["outcome"] == "held"
    assert {each["name"] for each in running["limits"] if each["exceeded"]} == {"classes", "enrollments"}
    ended = school.plan(none.raw("academicSessions.csv", sessions("2026-02-01"))).json["customers"][0]
    assert ended["counts"]["class"]["conclude"] == 7
    assert ended["counts"]["class"]["delete"] == 0


def test_54_a_time_of_change_decides_nothing(school: School) -> None:
    made = DAY_ONE.with_user(ONE, dateLastModified="2999-01-01T00:00:00Z", givenName="New")
    customer = school.told(made, "doubtful-modified-time")
    assert customer
    row = school.project.ask(
        f"SELECT a.given_name FROM accounts a JOIN identities i ON i.account_id = a.id WHERE i.subject = '{ONE}'"
    )
    assert row == [("New",)]


@pytest.mark.parametrize("day", ["2025-02-30", "0001-13-01", "soon"])
def test_55_invalid_date_is_dropped_and_reported(school: School, day: str) -> None:
    before = school.live()
    made = DAY_ONE.with_row("enrollments", "e-00001", endDate=day)
    customer = school.plan(made).json["customers"][0]
    assert "invalid-date" in {each["code"] for each in customer["diagnostics"]}
    school.apply(made)
    assert before <= school.live()


def test_56_four_hundred_guardians_of_one_pupil_are_told(school: School) -> None:
    agents = ",".join(f"g-{number}" for number in range(400))
    school.told(DAY_ONE.with_user(ONE, agentSourcedIds=agents), "many-agents")


def test_57_demographics_and_passwords_are_dropped_and_only_counted(school: School) -> None:
    made = DAY_ONE.with_user(ONE, password="hunter2-unique").raw(
        "demographics.csv", f"sourcedId,status,dateLastModified,birthDate\n{ONE},,,2011-04-05\n".encode()
    )
    school.told(made, "dropped-file", "info")
    school.told(made, "dropped-column", "info")
    kept = b"".join(path.read_bytes() for path in school.project.folder.glob("store*") if path.is_file())
    assert b"hunter2-unique" not in kept
    assert b"2011-04-05" not in kept
