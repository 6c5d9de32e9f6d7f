"""References of rows: dangling ones, cycles of parents, and roles of 1.2."""

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Severity, Span
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import codes, only, places, read

SMALL = bundle(users=10)
NEW = SMALL.version12()


def test_enrollment_without_person_or_class_is_quarantined(tmp_path: Path) -> None:
    made = SMALL.with_row("enrollments", "e-00003", userSourcedId="u-9999").with_row(
        "enrollments", "e-00005", classSourcedId="c-99"
    )
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [
        ("enrollment", "e-00003", "enrollments.csv", 4, 6, "dangling-reference"),
        ("enrollment", "e-00005", "enrollments.csv", 6, 4, "dangling-reference"),
    ]
    assert snapshot.quarantine["message"].to_list() == [
        'user "u-9999" is not in users.csv',
        'class "c-99" is not in classes.csv',
    ]
    assert snapshot.enrollments.height == 18


def test_many_dangling_enrollments_are_told(tmp_path: Path) -> None:
    made = bundle(users=50)
    few = made.with_row("enrollments", "e-00003", userSourcedId="u-9999")
    assert read(few, tmp_path).diagnostics == ()
    many = made.without("users", ["u-0007", "u-0008"])
    snapshot = read(many, tmp_path)
    assert snapshot.quarantine.height == 4
    assert only(snapshot.diagnostics).message == (
        "4 of 100 enrollments refer to people or classes that are not in the roster"
    )


def test_class_without_its_school_is_quarantined_but_enrollments_stay(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("classes", "c-03", schoolSourcedId="s-9"), tmp_path)
    assert places(snapshot) == [("class", "c-03", "classes.csv", 4, 10, "dangling-reference")]
    assert "c-03" in snapshot.enrollments["class"]


def test_a_school_that_was_set_aside_counts_as_present(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("orgs", "s-2", type="campus"), tmp_path)
    assert places(snapshot) == [("org", "s-2", "orgs.csv", 4, 5, "unknown-type")]
    assert snapshot.users.height == 10
    assert snapshot.classes.height == 8
    assert "s-2" in snapshot.roles["org"]


def test_person_needs_one_known_org_and_loses_only_unknown_ones(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", orgSourcedIds="s-9").with_user("u-0004", orgSourcedIds="s-9, s-1")
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [("user", "u-0003", "users.csv", 4, 5, "dangling-reference")]
    fourth = snapshot.roles.filter(snapshot.roles["user"] == "u-0004")
    assert fourth.select("org", "role", "primary").rows() == [("s-1", "student", True)]
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("dangling-reference", Span("users.csv", 5))


def test_roles_are_one_per_org_with_the_first_primary(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", orgSourcedIds="s-2,s-1,s-2"), tmp_path)
    third = snapshot.roles.filter(snapshot.roles["user"] == "u-0003")
    assert third.rows() == [
        ("u-0003", "s-2", "student", True, None, None, 4),
        ("u-0003", "s-1", "student", False, None, None, 4),
    ]
    assert snapshot.roles.filter("primary")["user"].to_list() == SMALL.ids("users")


def test_org_id_with_a_comma_is_quoted_in_lists(tmp_path: Path) -> None:
    made = SMALL.with_row("orgs", "s,3", name="Third", type="school").with_user("u-0003", orgSourcedIds='"s,3",s-1')
    snapshot = read(made, tmp_path)
    assert snapshot.roles.filter(snapshot.roles["user"] == "u-0003")["org"].to_list() == ["s,3", "s-1"]


def test_a_parent_that_is_not_there_is_told(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("orgs", "d-1", parentSourcedId="state"), tmp_path)
    assert snapshot.orgs["parent"].to_list() == ["state", "d-1", "d-1"]
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("dangling-parent", Span("orgs.csv", 2))


@pytest.mark.parametrize(
    ("parents", "path"),
    [
        ({"d-1": "d-1"}, "d-1 -> d-1"),
        ({"d-1": "s-2"}, "d-1 -> s-2 -> d-1"),
        ({"d-1": "s-2", "s-2": "s-1", "s-1": "d-1"}, "d-1 -> s-2 -> s-1 -> d-1"),
    ],
)
def test_circular_orgs_are_told_with_the_circle(tmp_path: Path, parents: dict[str, str], path: str) -> None:
    made = SMALL
    for child, parent in parents.items():
        made = made.with_row("orgs", child, parentSourcedId=parent)
    snapshot = read(made, tmp_path)
    found = only(snapshot.diagnostics)
    assert (found.code, found.severity) == ("org-cycle", Severity.WARNING)
    assert found.message == f"orgs form a cycle: {path}; their parents are not used"
    assert snapshot.users.height == 10


def test_further_orgs_of_circles_are_counted(tmp_path: Path) -> None:
    made = SMALL
    for org in SMALL.ids("orgs"):
        made = made.with_row("orgs", org, parentSourcedId=org)
    found = only(read(made, tmp_path).diagnostics)
    assert "d-1 -> d-1, and 2 more orgs are their own ancestors" in found.message


def test_a_deep_tree_of_orgs_is_no_circle(tmp_path: Path) -> None:
    made = SMALL
    for number in range(40):
        made = made.with_row(
            "orgs", f"o-{number}", name="x", type="local", parentSourcedId=f"o-{number - 1}" if number else ""
        )
    assert read(made, tmp_path).orgs.height == 43


def test_courses_and_terms_present_are_checked_and_only_reported(tmp_path: Path) -> None:
    made = SMALL.with_rows("courses", [{"sourcedId": "course-1"}, {"sourcedId": "course-2"}]).with_rows(
        "academicSessions", [{"sourcedId": "t-1", "startDate": "2026-08-20", "endDate": "2027-01-15"}]
    )
    snapshot = read(made, tmp_path)
    assert snapshot.quarantine.height == 0
    assert (snapshot.rows["courses"], snapshot.rows["academicSessions"]) == (2, 1)
    assert [each.message for each in snapshot.diagnostics] == [
        "terms is not in academicSessions.csv (8 rows, first line 2)",
        "course is not in courses.csv (2 rows, first line 4)",
    ]


def test_roles_of_1_2_are_those_of_roles_csv(tmp_path: Path) -> None:
    snapshot = read(NEW, tmp_path)
    old = read(SMALL, tmp_path)
    fields = ["user", "org", "role", "primary"]
    assert snapshot.roles.select(fields).equals(old.roles.select(fields))
    assert snapshot.users.equals(old.users)


def test_primary_role_follows_primary_org_then_flag_then_order(tmp_path: Path) -> None:
    made = NEW.with_rows(
        "roles", [row for row in NEW.tables["roles"] if row["userSourcedId"] not in ("u-0003", "u-0004")]
    )
    for number, (user, kind, role, org) in enumerate(
        [
            ("u-0003", "primary", "student", "s-1"),
            ("u-0003", "primary", "siteAdministrator", "s-2"),
            ("u-0004", "secondary", "aide", "s-1"),
            ("u-0004", "primary", "teacher", "s-2"),
            ("u-0004", "secondary", "proctor", "d-1"),
        ]
    ):
        made = made.with_row("roles", f"x-{number}", userSourcedId=user, roleType=kind, role=role, orgSourcedId=org)
    snapshot = read(made.with_user("u-0003", primaryOrgSourcedId="s-2"), tmp_path)
    primary = snapshot.roles.filter("primary")
    assert primary.height == 10
    assert dict(primary.select("user", "role").rows())["u-0003"] == "site_administrator"
    assert dict(primary.select("user", "role").rows())["u-0004"] == "teacher"
    assert snapshot.diagnostics == ()


def test_bad_role_row_quarantines_its_whole_person(tmp_path: Path) -> None:
    made = NEW.with_row("roles", "x-1", userSourcedId="u-0003", roleType="secondary", role="wizard", orgSourcedId="s-1")
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [("user", "u-0003", "roles.csv", 12, 6, "unknown-role")]
    assert "u-0003" not in snapshot.users["sourced_id"]
    assert "u-0003" not in snapshot.roles["user"]
    assert "u-0003" in snapshot.enrollments["user"]


def test_a_person_without_a_role_is_set_aside(tmp_path: Path) -> None:
    snapshot = read(NEW.without("roles", ["r-u-0003-1"]), tmp_path)
    assert places(snapshot) == [("user", "u-0003", "users.csv", 4, 0, "missing-role")]


def test_roles_without_person_or_org_are_quarantined(tmp_path: Path) -> None:
    made = NEW.with_row("roles", "r-u-0003-1", orgSourcedId="s-9").with_row(
        "roles", "x-1", userSourcedId="u-99", roleType="primary", role="student", orgSourcedId="s-1"
    )
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [
        ("user", "u-0003", "roles.csv", 4, 9, "dangling-reference"),
        ("user", "u-99", "roles.csv", 12, 4, "dangling-reference"),
    ]
    assert snapshot.users.height == 9


def test_missing_org_of_one_role_among_several_is_reported(tmp_path: Path) -> None:
    made = NEW.with_row("roles", "x-1", userSourcedId="u-0003", roleType="secondary", role="aide", orgSourcedId="s-9")
    snapshot = read(made, tmp_path)
    assert snapshot.users.height == 10
    assert codes(snapshot.diagnostics) == ["dangling-reference"]


def test_several_primary_roles_in_one_org_are_told(tmp_path: Path) -> None:
    made = NEW.with_row("roles", "x-1", userSourcedId="u-0003", roleType="primary", role="aide", orgSourcedId="s-2")
    snapshot = read(made, tmp_path)
    assert codes(snapshot.diagnostics) == ["several-primary-roles"]
    assert snapshot.roles.filter("primary").height == 10


def test_custom_role_of_an_export_is_dropped_and_reported(tmp_path: Path) -> None:
    made = NEW.with_row(
        "roles", "x-1", userSourcedId="u-0003", roleType="secondary", role="ext:coach", orgSourcedId="s-2"
    )
    snapshot = read(made, tmp_path)
    assert snapshot.users.height == 10
    assert codes(snapshot.diagnostics) == ["extension-role"]
    alone = read(NEW.with_row("roles", "r-u-0003-1", role="ext:coach"), tmp_path)
    assert places(alone) == [("user", "u-0003", "users.csv", 4, 0, "missing-role")]


def test_role_marked_for_deletion_is_no_role(tmp_path: Path) -> None:
    made = NEW.with_row(
        "roles",
        "x-1",
        status="tobedeleted",
        userSourcedId="u-0003",
        roleType="primary",
        role="aide",
        orgSourcedId="s-2",
    )
    snapshot = read(made, tmp_path)
    assert snapshot.roles.filter(snapshot.roles["user"] == "u-0003")["role"].to_list() == ["student"]


def test_administrator_is_a_role_of_1_1_only(tmp_path: Path) -> None:
    assert read(SMALL.with_user("u-0003", role="administrator"), tmp_path).quarantine.height == 0
    snapshot = read(NEW.with_row("roles", "r-u-0003-1", role="administrator"), tmp_path)
    assert places(snapshot) == [("user", "u-0003", "roles.csv", 4, 6, "unknown-role")]
