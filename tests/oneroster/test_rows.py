"""The rules for single rows: faults that quarantine a row, values that are dropped, and warnings."""

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Severity, Span
from reconciler.oneroster.snapshot import build_quarantine_diagnostics
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import codes, only, places, read

SMALL = bundle(users=10)


def test_unknown_role_quarantines_its_row_with_a_suggestion(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", role="techer"), tmp_path)
    assert "u-0003" not in snapshot.users["sourced_id"]
    assert "u-0003" not in snapshot.roles["user"]
    shown = only(build_quarantine_diagnostics(snapshot.quarantine, 10))
    assert str(shown) == (
        'users.csv:4:6: error: role "techer" is not a OneRoster role [unknown-role]\n'
        "    Did you mean teacher? Use one of student, teacher, aide, proctor, guardian, parent, relative,"
        " administrator."
    )


def test_a_role_that_resembles_none_gets_the_whole_list(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", role="wizard"), tmp_path)
    assert snapshot.quarantine["hint"].item().startswith("Use one of student, teacher")


def test_enrollments_of_a_person_who_was_set_aside_stay(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", role="wizard"), tmp_path)
    assert snapshot.enrollments.filter(snapshot.enrollments["user"] == "u-0003").height == 2
    assert snapshot.quarantine.height == 1


@pytest.mark.parametrize("role", ["Student", "STUDENT"])
def test_role_in_other_case_warns(tmp_path: Path, role: str) -> None:
    snapshot = read(SMALL.with_user("u-0003", role=role).with_user("u-0004", role=role), tmp_path)
    assert snapshot.roles.filter(snapshot.roles["user"] == "u-0003")["role"].item() == "student"
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("value-spelling", Span("users.csv", 4))
    assert "2 rows, first line 4" in found.message


def test_an_enrollments_role_must_be_one_of_four(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("enrollments", "e-00003", role="aide"), tmp_path)
    assert places(snapshot) == [("enrollment", "e-00003", "enrollments.csv", 4, 7, "unknown-role")]


@pytest.mark.parametrize(
    ("table", "key", "column", "kind", "place"),
    [
        ("users", "u-0003", "givenName", "user", 9),
        ("users", "u-0003", "familyName", "user", 10),
        ("users", "u-0003", "role", "user", 6),
        ("users", "u-0003", "orgSourcedIds", "user", 5),
        ("users", "u-0003", "enabledUser", "user", 4),
        ("orgs", "s-2", "name", "org", 4),
        ("orgs", "s-2", "type", "org", 5),
        ("classes", "c-03", "title", "class", 4),
        ("classes", "c-03", "schoolSourcedId", "class", 10),
        ("enrollments", "e-00003", "classSourcedId", "enrollment", 4),
        ("enrollments", "e-00003", "userSourcedId", "enrollment", 6),
        ("enrollments", "e-00003", "role", "enrollment", 7),
    ],
)
def test_empty_required_value_quarantines_its_row(
    tmp_path: Path, table: str, key: str, column: str, kind: str, place: int
) -> None:
    snapshot = read(SMALL.with_row(table, key, **{column: ""}), tmp_path)
    line = SMALL.ids(table).index(key) + 2
    assert places(snapshot) == [(kind, key, f"{table}.csv", line, place, "missing-value")]
    assert snapshot.quarantine["message"].item() == f"{column} is empty"


def test_row_without_a_sourced_id_is_quarantined_without_key(tmp_path: Path) -> None:
    made = SMALL.with_row("enrollments", "e-00003", sourcedId="")
    assert places(read(made, tmp_path)) == [("enrollment", None, "enrollments.csv", 4, 1, "missing-value")]


def test_row_with_several_faults_is_one_entry_naming_all(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", role="wizard", givenName="", enabledUser="perhaps"), tmp_path)
    assert places(snapshot) == [("user", "u-0003", "users.csv", 4, 4, "invalid-boolean")]
    assert snapshot.quarantine["message"].item() == (
        'enabledUser is neither true nor false; role "wizard" is not a OneRoster role; givenName is empty'
    )


def test_an_empty_username_is_accepted_with_a_warning(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", username=""), tmp_path)
    assert snapshot.users.filter(snapshot.users["sourced_id"] == "u-0003")["username"].item() is None
    assert str(only(snapshot.diagnostics)) == "users.csv:4: warning: username is empty (line 4) [missing-value]"


def test_courses_and_terms_may_be_empty(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("classes", "c-03", courseSourcedId="", termSourcedIds=""), tmp_path)
    assert snapshot.classes.height == 8
    assert snapshot.diagnostics == ()


@pytest.mark.parametrize(("word", "meaning"), [("TRUE", True), ("1", True), ("Yes", True), ("no", False), ("0", False)])
def test_other_words_for_true_and_false_warn(tmp_path: Path, word: str, meaning: bool) -> None:
    snapshot = read(SMALL.with_user("u-0003", enabledUser=word), tmp_path)
    assert snapshot.users.filter(snapshot.users["sourced_id"] == "u-0003")["enabled"].item() is meaning
    assert codes(snapshot.diagnostics) == ["value-spelling"]


def test_meaningless_optional_boolean_is_dropped_with_a_warning(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_row("enrollments", "e-00003", primary="main"), tmp_path)
    assert snapshot.enrollments["primary"].to_list()[2] is None
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("invalid-boolean", Span("enrollments.csv", 4))


@pytest.mark.parametrize("value", ["2027-06-11T00:00:00.000Z", "2027-06-11 08:00"])
def test_time_starting_with_a_date_counts_as_the_date(tmp_path: Path, value: str) -> None:
    snapshot = read(SMALL.with_row("enrollments", "e-00003", endDate=value), tmp_path)
    assert set(snapshot.enrollments["end_date"]) == {"2027-06-11"}
    assert snapshot.diagnostics == ()


@pytest.mark.parametrize(
    "value", ["1/05/2027", "05.01.2027", "2027-02-30", "9999-12-31", "1900-01-01", "20270105", "soon", "2027-6-1"]
)
def test_date_in_another_form_is_dropped_and_never_guessed(tmp_path: Path, value: str) -> None:
    snapshot = read(SMALL.with_row("enrollments", "e-00003", endDate=value), tmp_path)
    ends = snapshot.enrollments["end_date"].to_list()
    assert ends[2] is None
    assert set(ends) - {None} == {"2027-06-11"}
    found = only(snapshot.diagnostics)
    assert (found.code, found.severity, found.span) == ("invalid-date", Severity.WARNING, Span("enrollments.csv", 4))


def test_unknown_org_type_quarantines_and_unknown_class_type_drops(tmp_path: Path) -> None:
    made = SMALL.with_row("orgs", "s-2", type="campus").with_row("classes", "c-03", classType="club")
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [("org", "s-2", "orgs.csv", 4, 5, "unknown-type")]
    assert snapshot.classes["class_type"].to_list()[2] is None
    assert codes(snapshot.diagnostics) == ["unknown-class-type"]


def test_a_status_in_bulk_is_told_and_read(tmp_path: Path) -> None:
    made = (
        SMALL.with_user("u-0003", status="active")
        .with_user("u-0004", status="toBeDeleted")
        .with_user("u-0005", status="inactive")
    )
    snapshot = read(made, tmp_path)
    status = dict(snapshot.users.select("sourced_id", "status").rows())
    assert [status[f"u-000{number}"] for number in range(2, 6)] == ["active", "active", "tobedeleted", "inactive"]
    assert sorted(codes(snapshot.diagnostics)) == ["inactive-status", "status-in-bulk", "value-spelling"]


def test_an_unknown_status_sets_its_row_aside(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", status="enrolled"), tmp_path)
    assert places(snapshot) == [("user", "u-0003", "users.csv", 4, 2, "unknown-status")]


def test_identical_rows_with_one_key_merge_with_a_warning(tmp_path: Path) -> None:
    made = SMALL.with_rows("users", [*SMALL.tables["users"], SMALL.tables["users"][2]])
    snapshot = read(made, tmp_path)
    assert snapshot.users.height == 10
    assert snapshot.quarantine.height == 0
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("repeated-row", Span("users.csv", 12))


def test_different_rows_with_one_key_are_all_quarantined(tmp_path: Path) -> None:
    third = SMALL.tables["users"][2]
    made = SMALL.with_rows("users", [*SMALL.tables["users"], {**third, "email": "other@example.com"}, third])
    snapshot = read(made, tmp_path)
    assert places(snapshot) == [
        ("user", "u-0003", "users.csv", line, 1, "duplicate-sourced-id") for line in (4, 12, 13)
    ]
    assert set(snapshot.quarantine["message"]) == {'sourcedId "u-0003" has conflicting rows: lines 4, 12, 13'}
    assert snapshot.users.height == 9


def test_row_sharing_a_malformed_rows_key_is_quarantined_too(tmp_path: Path) -> None:
    made = SMALL.raw("users.csv", (SMALL.text("users") + "u-0003,,\n").encode())
    assert places(read(made, tmp_path)) == [
        ("user", "u-0003", "users.csv", 4, 1, "duplicate-sourced-id"),
        ("user", "u-0003", "users.csv", 12, 0, "ragged-row"),
    ]


def test_keys_differing_only_in_form_are_distinct_and_reported(tmp_path: Path) -> None:
    made = SMALL.with_user("U-0003").with_user("ﬁne").with_user("fine")
    snapshot = read(made, tmp_path)
    assert snapshot.users.height == 13
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("keys-alike", Span("users.csv", 4))
    assert found.message.startswith("4 sourcedIds")


@pytest.mark.parametrize("key", ["a/b?c=d", "=cmd|' /C calc'!A0", "x" * 300, "DROP TABLE users;--", "學生-1", "a b"])
def test_any_other_key_is_opaque(tmp_path: Path, key: str) -> None:
    snapshot = read(SMALL.with_user(key), tmp_path)
    assert key in snapshot.users["sourced_id"]
    assert snapshot.quarantine.height == 0


def test_no_message_repeats_a_name_or_an_address(tmp_path: Path) -> None:
    made = SMALL
    for number, fields in enumerate(
        ({"role": "wizard"}, {"orgSourcedIds": "s-9"}, {"enabledUser": "Zebulon"}, {"status": "gone"}, {"role": ""}),
        start=3,
    ):
        made = made.with_user(
            f"u-000{number}", givenName="Zebulon", familyName="Quux", email="zeb@quux.example", **fields
        )
    lines = made.text("users").splitlines()
    lines[8] = lines[8].replace("example.com", "quux.example") + ",Zebulon"
    snapshot = read(made.raw("users.csv", ("\n".join(lines) + "\n").encode()), tmp_path)
    assert snapshot.quarantine.height == 6
    said = "\n".join(map(str, (*snapshot.diagnostics, *build_quarantine_diagnostics(snapshot.quarantine))))
    assert "Zebulon" not in said
    assert "quux" not in said.lower()


def test_first_rows_of_a_rule_are_shown_others_counted(tmp_path: Path) -> None:
    made = SMALL
    for number in range(3, 8):
        made = made.with_user(f"u-000{number}", role="wizard")
    shown = build_quarantine_diagnostics(read(made.with_user("u-0008", givenName=""), tmp_path).quarantine, 2)
    assert [(each.code, each.severity.value, each.span and each.span.line) for each in shown] == [
        ("unknown-role", "error", 4),
        ("unknown-role", "error", 5),
        ("missing-value", "error", 9),
        ("unknown-role", "info", None),
    ]
    assert shown[-1].message == "3 more rows quarantined for the same reason"
