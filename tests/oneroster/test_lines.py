"""Rows and physical lines: malformed rows are quarantined with their position, and none hides another."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Refusal, Span
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.lines import read_rows
from reconciler.oneroster.csv_file.sheet import read_sheet
from reconciler.oneroster.standard.tables import STANDARDS
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import codes, only, places, read, refused

SMALL = bundle(users=10)
USERS = SMALL.text("users")
LINES = USERS.splitlines()


def with_lines(made: Bundle, *lines: str, end: str = "\n", last: str | None = None) -> Bundle:
    return made.raw("users.csv", (end.join(lines) + (end if last is None else last)).encode())


def changed(number: int, line: str) -> list[str]:
    """Return the users' lines with the physical line `number` changed."""
    return [line if place == number else old for place, old in enumerate(LINES, start=1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [None, ""])
def test_any_line_end_gives_the_same_rows_and_lines(tmp_path: Path, end: str, last: str | None) -> None:
    snapshot = read(with_lines(SMALL, *LINES, end=end, last=last), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)
    assert snapshot.diagnostics == ()
    assert snapshot.users["line"].to_list() == list(range(2, 12))


def test_mixed_line_ends_are_read(tmp_path: Path) -> None:
    mixed = "".join(line + end for line, end in zip(LINES, ["\r\n", "\n", "\r"] * 4, strict=False))
    snapshot = read(SMALL.raw("users.csv", mixed.encode()), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)


def test_blank_lines_are_skipped_and_counted_as_lines(tmp_path: Path) -> None:
    snapshot = read(with_lines(SMALL, *LINES[:3], "", "", *LINES[3:], "", ""), tmp_path)
    assert snapshot.rows["users"] == 10
    assert snapshot.users["line"].to_list() == [2, 3, *range(6, 14)]


def test_row_of_only_commas_is_skipped_with_a_warning(tmp_path: Path) -> None:
    snapshot = read(with_lines(SMALL, *LINES, "," * 17), tmp_path)
    assert snapshot.users.height == 10
    assert str(only(snapshot.diagnostics)) == ("users.csv:12: warning: empty rows are skipped (line 12) [empty-row]")


def test_quoted_commas_and_breaks_keep_physical_line_numbers(tmp_path: Path) -> None:
    made = (
        SMALL.with_user("u-0002", familyName='Smith, "Junior"')
        .with_user("u-0003", givenName="Anna\nMaria")
        .with_user("u-0005", orgSourcedIds="s-2,s-1")
    )
    snapshot = read(made, tmp_path)
    users = {row["sourced_id"]: row for row in snapshot.users.to_dicts()}
    assert users["u-0002"]["family_name"] == 'Smith, "Junior"'
    assert users["u-0003"]["given_name"] == "Anna\nMaria"
    assert [users[f"u-000{number}"]["line"] for number in (2, 3, 4, 5)] == [3, 4, 6, 7]
    assert snapshot.quarantine.height == 0


def test_everything_in_quotes_is_the_same(tmp_path: Path) -> None:
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(csv.reader(io.StringIO(USERS)))
    snapshot = read(SMALL.raw("users.csv", sink.getvalue().encode()), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)
    assert snapshot.diagnostics == ()


def test_ragged_rows_are_set_aside_with_file_and_line(tmp_path: Path) -> None:
    lines = changed(4, LINES[3] + ",")
    lines[6] = LINES[6].rsplit(",", 2)[0]
    snapshot = read(with_lines(SMALL, *lines), tmp_path)
    assert places(snapshot) == [
        ("user", "u-0003", "users.csv", 4, 0, "ragged-row"),
        ("user", "u-0006", "users.csv", 7, 0, "ragged-row"),
    ]
    assert snapshot.quarantine["message"].to_list() == [
        "the row has 19 fields, but the header has 18",
        "the row has 16 fields, but the header has 18",
    ]
    assert snapshot.users.height == 8
    assert snapshot.rows["users"] == 10


def test_one_long_and_one_short_row_do_not_cancel(tmp_path: Path) -> None:
    lines = changed(4, LINES[3] + ",")
    lines[4] = LINES[4].removesuffix(",")
    assert lines[4].count(",") == 16
    assert [place[3] for place in places(read(with_lines(SMALL, *lines), tmp_path))] == [4, 5]


def test_malformed_row_yields_a_key_only_from_field_one(tmp_path: Path) -> None:
    rows = [line.split(",") for line in LINES]
    turned = [",".join([*row[1:], row[0]]) for row in rows]
    turned[3] += ","
    snapshot = read(with_lines(SMALL, *turned), tmp_path)
    assert places(snapshot, "users.csv") == [("user", None, "users.csv", 4, 0, "ragged-row")]


def test_over_ten_and_one_percent_malformed_refuses_the_file(tmp_path: Path) -> None:
    made = bundle(users=1_200)
    lines = made.text("users").splitlines()
    snapshot = read(with_lines(made, *(line + "," if 1 <= n <= 12 else line for n, line in enumerate(lines))), tmp_path)
    assert snapshot.quarantine.height == 12
    found = only(
        refused(with_lines(made, *(line + "," if 1 <= n <= 13 else line for n, line in enumerate(lines))), tmp_path)
    )
    assert found.code == "too-many-malformed-rows"
    assert found.message == "13 of 1,200 rows do not have the header's 18 fields, the first in line 2"


def test_control_characters_set_their_row_aside(tmp_path: Path) -> None:
    lines = changed(3, LINES[2].replace("example.com", "example\x00.com"))
    lines[3] = lines[3].replace("u-0003", "u-\x7f0003", 1)
    snapshot = read(with_lines(SMALL, *lines), tmp_path)
    assert places(snapshot, "users.csv") == [
        ("user", "u-0002", "users.csv", 3, 0, "control-character"),
        ("user", None, "users.csv", 4, 0, "control-character"),
    ]


def test_line_break_or_tab_in_a_key_is_quarantined(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0002", orgSourcedIds="s-1\ns-2").with_user("u-0003", sourcedId="u-\t0003")
    snapshot = read(made.without("enrollments", made.ids("enrollments")), tmp_path)
    assert places(snapshot) == [
        ("user", "u-0002", "users.csv", 3, 5, "control-character"),
        ("user", None, "users.csv", 5, 1, "control-character"),
    ]


def test_a_stray_quote_inside_one_row_sets_it_aside(tmp_path: Path) -> None:
    lines = changed(4, LINES[3].replace("u0003@", 'u"00"03@'))
    assert places(read(with_lines(SMALL, *lines), tmp_path)) == [
        ("user", "u-0003", "users.csv", 4, 0, "stray-quote"),
    ]


def test_unclosed_quote_is_refused_with_its_line(tmp_path: Path) -> None:
    found = only(refused(with_lines(SMALL, *changed(4, LINES[3].replace("u0003@", '"u0003@'))), tmp_path))
    assert (found.code, found.span) == ("unbalanced-quote", Span("users.csv", 4))


def test_two_stray_quotes_hiding_rows_are_refused(tmp_path: Path) -> None:
    for stray in ('5" tall', '"'):
        lines = changed(4, LINES[3].replace("u0003@example.com", stray))
        lines[5] = LINES[5].replace("u0005@example.com", stray)
        found = only(refused(with_lines(SMALL, *lines), tmp_path))
        assert (found.code, found.span) == ("unbalanced-quote", Span("users.csv", 4))


def test_a_last_row_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    cut = ",".join(LINES[-1].split(",")[:7])
    found = only(refused(with_lines(SMALL, *LINES[:-1], cut, last=""), tmp_path))
    assert str(found) == (
        "users.csv:11: error: users.csv ends in the middle of line 11 (7 of 18 fields) [truncated-file]\n"
        "    Send the file again; the upload or the export was probably cut off."
    )


def test_last_row_cut_off_inside_quotes_is_refused(tmp_path: Path) -> None:
    found = only(refused(with_lines(SMALL, *LINES, 'u-0011,,,true,"s-1,s', last=""), tmp_path))
    assert (found.code, found.span) == ("truncated-file", Span("users.csv", 12))


@pytest.mark.parametrize("quoted", [True, False])
def test_a_value_longer_than_any_field_is_refused(tmp_path: Path, quoted: bool) -> None:
    mark = '"' if quoted else ""
    lines = changed(4, LINES[3].replace("u0003@example.com", f"{mark}{'x' * 70_000}{mark}"))
    found = only(refused(with_lines(SMALL, *lines), tmp_path))
    assert (found.code, found.span) == ("huge-field", Span("users.csv", 4))


def test_spaces_around_values_are_taken_off_with_one_warning(tmp_path: Path) -> None:
    lines = changed(4, LINES[3].replace("u-0003", " u-0003\u00a0").replace(",student,", ", student ,"))
    snapshot = read(with_lines(SMALL, *lines), tmp_path)
    assert snapshot.users.equals(read(SMALL, tmp_path).users)
    found = only(snapshot.diagnostics)
    assert (found.code, found.span) == ("surrounding-spaces", Span("users.csv", 4))


def test_keys_that_a_spreadsheet_made_numbers_are_told(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("1.23E+11"), tmp_path)
    assert codes(snapshot.diagnostics) == ["spreadsheet-number"]
    assert "1.23E+11" in snapshot.users["sourced_id"]


FIELD = st.text(st.sampled_from('ab,"\n é'), max_size=4)


@given(
    rows=st.lists(st.lists(FIELD, min_size=5, max_size=5), min_size=1, max_size=8),
    blanks=st.sets(st.integers(0, 8)),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=100, deadline=None)
def test_rows_read_as_by_python_csv_or_the_file_fails(rows: list[list[str]], blanks: set[int], end: str) -> None:
    table = STANDARDS["1.1"].tables["orgs"]
    sink = io.StringIO()
    sink.write("sourcedId,name,type,identifier,parentSourcedId" + end)
    expected, line = [], 2
    for number, row in enumerate(rows):
        if number in blanks:
            sink.write(end)
            line += 1
        text = io.StringIO()
        csv.writer(text, lineterminator=end).writerow(row)
        sink.write(text.getvalue())
        expected.append((line, [value.strip() or None for value in row]))
        line += text.getvalue().count("\n")
    try:
        sheet = read_sheet(table, sink.getvalue().encode(), STANDARDS["1.1"])
    except Refusal as refusal:
        seen = (codes(refusal.diagnostics), any("," in row and "\n" in row for row in map("".join, rows)))
    else:
        fields = ["sourced_id", "name", "type", "identifier", "parent"]
        assert [(row[-1], list(row[:-1])) for row in sheet.frame.select(*fields, "line").rows()] == expected
        assert sheet.quarantine.height == 0
        return
    assert seen == (["unbalanced-quote"], True)


@given(st.text(st.sampled_from('a,"\n'), max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_loses_a_row_in_silence(body: str) -> None:
    """Every line that begins outside quotes is a row, good or quarantined, or the file is refused."""
    data = f"a,b,c\n{body}\n".encode()
    try:
        read = read_rows("orgs.csv", data, 3, Kind.ORG)
    except Refusal:
        return
    accounted = sorted([*read.input.lines.to_list(), *read.quarantine["line"].to_list()])
    text = dict(enumerate(data.decode().split("\n")[:-1], start=1))
    joined = read.input.text.decode()
    for number in range(2, len(text) + 1):
        if number not in accounted and text[number]:
            assert text[number] in joined
