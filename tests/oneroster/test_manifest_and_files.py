"""The files of an archive, the files its manifest declares, and its version."""

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Span
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import codes, only, read, refused

SMALL = bundle(users=10)


def with_manifest(made: Bundle, *lines: str) -> Bundle:
    return made.raw("manifest.csv", ("\n".join(["propertyName,value", *lines]) + "\n").encode())


def bulk(*extra: str) -> list[str]:
    return [f"file.{stem},bulk" for stem in ("orgs", "users", "classes", "enrollments", *extra)]


@pytest.mark.parametrize("file", ["orgs.csv", "users.csv", "classes.csv", "enrollments.csv"])
def test_missing_required_file_is_refused_with_those_present(tmp_path: Path, file: str) -> None:
    found = only(refused(SMALL.without_file(file).declaring(users="bulk"), tmp_path))
    assert found.code == "missing-file"
    others = [each for each in ("classes.csv", "enrollments.csv", "orgs.csv", "users.csv") if each != file]
    assert found.message == f"{file} missing; the archive has {', '.join(sorted([*others, 'manifest.csv']))}"
    required = "orgs.csv, users.csv, classes.csv, enrollments.csv"
    assert found.hint == f"Include all files that a OneRoster 1.1 roster requires: {required}."


def test_roles_are_required_in_1_2(tmp_path: Path) -> None:
    found = only(refused(SMALL.version12().without_file("roles.csv"), tmp_path))
    assert (found.code, found.message.split(";")[0]) == ("missing-file", "roles.csv missing")


@pytest.mark.parametrize("made", [SMALL, SMALL.version12()], ids=["1.1", "1.2"])
def test_without_a_manifest_columns_tell_the_version(tmp_path: Path, made: Bundle) -> None:
    snapshot = read(made.without_manifest(), tmp_path)
    assert snapshot.version == made.version
    assert snapshot.users.height == 10
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("no-manifest", Span("manifest.csv"))


def test_unread_file_may_be_delta_in_a_full_roster(tmp_path: Path) -> None:
    snapshot = read(SMALL.raw("results.csv", b"sourcedId\n1\n").declaring(results="delta"), tmp_path)
    assert (snapshot.rows["results"], snapshot.users.height, dict(snapshot.modes)) == (1, 10, {})
    assert snapshot.diagnostics == ()


def test_declared_but_missing_file_is_refused(tmp_path: Path) -> None:
    found = only(refused(SMALL.declaring(courses="bulk"), tmp_path))
    assert (found.code, found.message) == ("missing-file", "courses.csv is declared as bulk but is not in the archive")
    assert found.span is not None
    assert found.span.file == "manifest.csv"


def test_a_required_file_that_is_declared_absent_is_refused(tmp_path: Path) -> None:
    found = only(refused(SMALL.declaring(classes="absent"), tmp_path))
    assert (found.code, found.message) == (
        "missing-file",
        "classes.csv is declared as absent, but it is required",
    )


def test_file_declared_absent_is_not_used(tmp_path: Path) -> None:
    made = SMALL.with_rows("courses", [{"sourcedId": "course-1"}]).declaring(courses="absent")
    snapshot = read(made, tmp_path)
    assert "courses" not in snapshot.rows
    assert codes(snapshot.diagnostics) == ["undeclared-file"]


def test_an_undeclared_file_counts_as_bulk_with_a_warning(tmp_path: Path) -> None:
    made = with_manifest(SMALL, "manifest.version,1.0", "oneroster.version,1.1", *bulk()[1:])
    snapshot = read(made, tmp_path)
    assert snapshot.orgs.height == 3
    assert only(snapshot.diagnostics).message == "orgs.csv is not declared; it is read as bulk"


def test_another_manifest_version_is_told(tmp_path: Path) -> None:
    snapshot = read(with_manifest(SMALL, "manifest.version,1", "oneroster.version,1.1", *bulk()), tmp_path)
    found = only(snapshot.diagnostics)
    assert str(found) == "manifest.csv:2: warning: manifest.version is 1; it is read as 1.0 [manifest-version]"


@pytest.mark.parametrize("version", ["1.0", "2.0", "v1"])
def test_an_unknown_version_is_refused(tmp_path: Path, version: str) -> None:
    found = only(
        refused(with_manifest(SMALL, "manifest.version,1.0", f"oneroster.version,{version}", *bulk()), tmp_path)
    )
    assert (found.code, found.span) == ("unknown-version", Span("manifest.csv", 3))
    assert found.hint == "Export the roster as version 1.1 or 1.2."


def test_manifest_without_version_is_reported_and_columns_decide(tmp_path: Path) -> None:
    made = with_manifest(SMALL.version12(), "manifest.version,1.0", *bulk("roles"))
    snapshot = read(made, tmp_path)
    assert snapshot.version == "1.2"
    assert codes(snapshot.diagnostics) == ["manifest-version"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file.users,full"], "file.users must be one of absent, bulk, delta (got full)"),
        (["file.users,bulk", "file.users,absent"], "file.users has several different values"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    made = with_manifest(SMALL, "manifest.version,1.0", "oneroster.version,1.1", *lines)
    found = refused(made, tmp_path)[0]
    assert (found.code, found.message) == ("invalid-manifest", f"manifest.csv: {message}")


@pytest.mark.parametrize("stem", ["results", "lineItems", "demographics", "courses", "ext_locker"])
@pytest.mark.parametrize("present", [False, True])
def test_a_blank_mode_of_a_file_that_no_sync_reads_counts_as_absent(tmp_path: Path, stem: str, present: bool) -> None:
    made = with_manifest(SMALL, "manifest.version,1.0", "oneroster.version,1.1", *bulk(), f"file.{stem},")
    if present:
        made = made.raw(f"{stem}.csv", b"sourcedId\n1\n")
    snapshot = read(made, tmp_path)
    found = next(each for each in snapshot.diagnostics if each.code == "blank-mode")
    assert found.message.lower() == f"file.{stem} has no mode; it is read as absent".lower()
    assert found.span == Span("manifest.csv", 8)
    assert (snapshot.users.height, stem in snapshot.rows) == (10, False)


@pytest.mark.parametrize("stem", ["users", "enrollments", "academicSessions"])
def test_a_blank_mode_of_a_file_with_people_or_terms_is_refused(tmp_path: Path, stem: str) -> None:
    lines = [line for line in bulk() if not line.startswith(f"file.{stem},")]
    made = with_manifest(SMALL, "manifest.version,1.0", "oneroster.version,1.1", *lines, f"file.{stem},")
    assert "(got nothing)" in refused(made, tmp_path)[0].message


def test_a_file_of_version_1_0_is_told_as_such(tmp_path: Path) -> None:
    header, *rows = SMALL.text("users").splitlines()
    at = header.split(",").index("enabledUser")
    lines = [",".join(cell for place, cell in enumerate(row.split(",")) if place != at) for row in (header, *rows)]
    found = only(refused(SMALL.raw("users.csv", "\n".join(lines).encode()).without_manifest(), tmp_path))
    assert (found.code, found.message) == ("missing-column", "missing columns: enabledUser")
    assert found.hint == (
        "The file looks like OneRoster 1.0, which has no enabledUser. Export the roster as version 1.1 or 1.2."
    )


@pytest.mark.parametrize("content", [b"", b"name;value\n", b"\xff\xfe", b'propertyName,value\n"a,b\n', b"x" * 70_000])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refused(SMALL.raw("manifest.csv", content), tmp_path)[0].span.file == "manifest.csv"


def test_file_names_in_other_case_warn(tmp_path: Path) -> None:
    made = SMALL.raw("Users.CSV", SMALL.text("users").encode()).without_manifest()
    made = made.without_file("users.csv")
    snapshot = read(made, tmp_path)
    assert snapshot.users.height == 10
    assert codes(snapshot.diagnostics) == ["no-manifest", "file-name-case"]


def test_file_unknown_to_the_standard_is_reported_and_unused(tmp_path: Path) -> None:
    made = SMALL.raw("buses.csv", b"a,b\n").raw("roles.csv", b"sourcedId\n")
    snapshot = read(made, tmp_path)
    assert [str(each) for each in snapshot.diagnostics] == [
        "buses.csv: warning: buses.csv is not a file of OneRoster 1.1 or 1.2 and is not used [unknown-file]",
        "roles.csv: warning: roles.csv is not a file of OneRoster 1.1 and is not used [unknown-file]",
    ]


def test_files_that_nobody_needs_are_counted(tmp_path: Path) -> None:
    made = SMALL.raw("lineItems.csv", b"sourcedId,title\n1,a\n2,b\n3,c")
    assert read(made, tmp_path).rows["lineItems"] == 3


def test_the_reasons_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    made = SMALL.raw("users.csv", b"").raw("orgs.csv", b"a;b;c\n").raw("enrollments.csv", b"x,y\n1,2\n")
    found = refused(made, tmp_path)
    assert [(each.span.file, each.code) for each in found if each.span] == [
        ("enrollments.csv", "missing-column"),
        ("orgs.csv", "wrong-delimiter"),
        ("users.csv", "empty-file"),
    ]
