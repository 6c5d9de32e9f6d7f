"""Encoding, delimiter and header of a file: deviations accepted with a warning, and those refused."""

from pathlib import Path

import pytest

from reconciler.model.diagnostic import Span
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import codes, only, read, refused

SMALL = bundle(users=10)
USERS = SMALL.text("users")


def test_a_byte_order_mark_is_accepted_with_a_warning(tmp_path: Path) -> None:
    snapshot = read(SMALL.raw("users.csv", b"\xef\xbb\xbf" + USERS.encode()), tmp_path)
    assert snapshot.users.height == 10
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("byte-order-mark", Span("users.csv", 1))


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-16", "UTF-16"), ("utf-32", "UTF-32"), ("utf-16-be", "NUL"), ("utf-16-le", "NUL")]
)
def test_utf_16_and_utf_32_are_refused_by_name(tmp_path: Path, encoding: str, name: str) -> None:
    found = only(refused(SMALL.raw("users.csv", USERS.encode(encoding)), tmp_path))
    assert found.code == ("control-character-in-header" if name == "NUL" else "wrong-encoding")
    assert name in found.message


def test_bytes_not_utf8_are_refused_with_offset_and_line(tmp_path: Path) -> None:
    content = SMALL.with_user("u-0003", givenName="Zoë").text("users").encode("cp1252")
    found = only(refused(SMALL.raw("users.csv", content), tmp_path))
    assert found.code == "wrong-encoding"
    assert found.span == Span("users.csv", 4)
    assert f"byte {content.index(0xEB):,} (0xEB) in line 4" in found.message
    assert "Zo" not in str(found)


def test_utf8_cut_inside_a_letter_is_refused(tmp_path: Path) -> None:
    content = USERS.encode().rstrip(b"\n") + "é".encode()[:1]
    assert codes(refused(SMALL.raw("users.csv", content), tmp_path)) == ["wrong-encoding"]


def test_doubly_encoded_text_is_reported_with_a_count(tmp_path: Path) -> None:
    garbled = SMALL.with_user("u-0004", givenName="Zoë".encode().decode("cp1252"))
    found = only(read(garbled, tmp_path).diagnostics)
    assert (found.code, found.span) == ("garbled-text", Span("users.csv", 5))


def test_a_file_of_no_bytes_is_refused(tmp_path: Path) -> None:
    found = only(refused(SMALL.raw("users.csv", b""), tmp_path))
    assert str(found).startswith("users.csv: error: users.csv is empty (0 bytes) [empty-file]")


def test_header_only_file_is_reported(tmp_path: Path) -> None:
    made = SMALL.with_rows("enrollments", [])
    snapshot = read(made, tmp_path)
    assert snapshot.rows["enrollments"] == 0
    assert snapshot.enrollments.height == 0
    assert codes(snapshot.diagnostics) == ["no-rows"]


@pytest.mark.parametrize(("mark", "name"), [(";", '";"'), ("\t", "a tab"), ("|", '"|"')])
def test_another_delimiter_is_refused_by_name(tmp_path: Path, mark: str, name: str) -> None:
    found = only(refused(SMALL.raw("users.csv", USERS.replace(",", mark).encode()), tmp_path))
    assert found.code == "wrong-delimiter"
    assert f"not {name}" in found.message


def test_case_spaces_and_invisible_header_characters_warn_once(tmp_path: Path) -> None:
    header, rest = USERS.split("\n", 1)
    odd = header.replace("sourcedId", "\u200bSourcedID").replace("givenName", " GIVENNAME\u00a0")
    odd = odd.replace("dateLastModified", "dataLastModified")
    snapshot = read(SMALL.raw("users.csv", f"{odd}\n{rest}".encode()), tmp_path)
    assert snapshot.users.height == 10
    assert snapshot.users["given_name"].null_count() == 0
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("header-spelling", Span("users.csv", 1))
    assert found.message == "column names read with the standard's spelling: sourcedId, dateLastModified, givenName"


def test_columns_in_another_order_are_read_with_a_warning(tmp_path: Path) -> None:
    rows = [line.split(",") for line in USERS.splitlines()]
    turned = "\n".join(",".join(reversed(row)) for row in rows) + "\n"
    snapshot = read(SMALL.raw("users.csv", turned.encode()), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)
    assert codes(snapshot.diagnostics) == ["header-order"]


def test_a_header_that_stands_twice_is_refused(tmp_path: Path) -> None:
    twice = USERS.replace("sms", "role", 1)
    found = only(refused(SMALL.raw("users.csv", twice.encode()), tmp_path))
    assert (found.code, found.message) == ("duplicate-header", "duplicate columns: role")


def test_a_missing_column_that_is_needed_is_refused(tmp_path: Path) -> None:
    less = USERS.replace("familyName", "surname", 1).replace("enabledUser", "active", 1)
    found = only(refused(SMALL.raw("users.csv", less.encode()), tmp_path))
    assert found.code == "missing-column"
    assert found.message == "missing columns: enabledUser, familyName"
    assert found.hint == "Use the column names of the standard; the header also has active, surname."


def test_renamed_column_is_refused_not_read_as_empty(tmp_path: Path) -> None:
    found = only(refused(SMALL.raw("users.csv", USERS.replace("email", "e-mail", 1).encode()), tmp_path))
    assert (found.code, found.hint) == (
        "renamed-column",
        "Rename it to email. Otherwise all its values would count as removed.",
    )


def test_missing_optional_column_is_empty_with_a_warning(tmp_path: Path) -> None:
    lines = [line.rsplit(",", 2)[0] for line in USERS.splitlines()]
    snapshot = read(SMALL.raw("users.csv", ("\n".join(lines) + "\n").encode()), tmp_path)
    assert snapshot.users["grades"].null_count() == 10
    assert only(snapshot.diagnostics).message == "missing columns, read as empty: grades"


def test_swapped_files_are_refused_by_what_their_headers_are(tmp_path: Path) -> None:
    swapped = SMALL.raw("users.csv", SMALL.text("classes").encode()).raw("classes.csv", USERS.encode())
    found = refused(swapped, tmp_path)
    assert [(each.code, each.message) for each in found] == [
        ("wrong-file-header", "classes.csv has the header of users.csv"),
        ("wrong-file-header", "users.csv has the header of classes.csv"),
    ]


def test_extra_columns_are_not_read(tmp_path: Path) -> None:
    rows = USERS.splitlines()
    wide = [rows[0] + ",metadata.bus,ext_house,", *(row + ",7,Red," for row in rows[1:])]
    snapshot = read(SMALL.raw("users.csv", ("\n".join(wide) + "\n").encode()), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)
    assert [(each.code, each.severity.value) for each in snapshot.diagnostics] == [
        ("empty-header", "warning"),
        ("unknown-column", "info"),
    ]


def test_1_2_export_declared_as_1_1_is_refused_helpfully(tmp_path: Path) -> None:
    users = SMALL.version12().text("users").encode()
    found = only(refused(SMALL.raw("users.csv", users), tmp_path))
    assert (found.code, found.message) == ("missing-column", "missing columns: orgSourcedIds, role")
    assert "1.2" in str(found.hint)


def test_an_unclosed_quote_in_the_header_is_refused(tmp_path: Path) -> None:
    content = USERS.replace("sourcedId", '"sourcedId', 1)
    assert codes(refused(SMALL.raw("users.csv", content.encode()), tmp_path)) == ["unbalanced-quote"]


def test_passwords_and_demographics_are_dropped_and_counted(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", password="hunter2").with_user("u-0004", password="s3cret")
    made = made.raw("demographics.csv", b"sourcedId,status,dateLastModified,birthDate\nu-0003,,,2011-04-05\n")
    snapshot = read(made, tmp_path)
    assert snapshot.rows["demographics"] == 1
    assert [(each.code, each.severity.value) for each in snapshot.diagnostics] == [
        ("dropped-file", "info"),
        ("dropped-column", "info"),
    ]
    assert "2 values of column password" in snapshot.diagnostics[1].message
    frames = (snapshot.orgs, snapshot.users, snapshot.roles, snapshot.classes, snapshot.enrollments)
    everything = "".join(frame.write_csv() for frame in frames) + str(snapshot.diagnostics)
    assert "hunter2" not in everything
    assert "2011-04-05" not in everything
