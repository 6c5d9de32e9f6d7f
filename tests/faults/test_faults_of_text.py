"""Faults 25 to 38: text and CSV."""

from __future__ import annotations

import html

import pytest

from tests.support.schools.by_files import DAY_ONE, STUDENTS, School, as_file, lines

pytestmark = pytest.mark.slow

ONE, OTHER = STUDENTS[0], STUDENTS[1]
GIVEN_NAME = "SELECT a.given_name FROM accounts a JOIN identities i ON i.account_id = a.id WHERE i.subject"


def raw(table: str, text: str | bytes) -> object:
    return DAY_ONE.raw(f"{table}.csv", text if isinstance(text, bytes) else text.encode())


def line_of(key: str, table: str = "users") -> int:
    return DAY_ONE.ids(table).index(key) + 1


def with_line(key: str, change: str, table: str = "users") -> object:
    """Replace the row of `key` by `change`, in which {} stands for the unchanged row."""
    rows = lines(table)
    place = line_of(key, table)
    rows[place] = change.replace("{}", rows[place])
    return DAY_ONE.raw(f"{table}.csv", as_file(rows))


def test_25_byte_order_mark_is_accepted_but_not_other_encodings(school: School) -> None:
    text = DAY_ONE.text("users")
    school.told(raw("users", text.encode("utf-8-sig")), "byte-order-mark")
    for encoding in ("utf-16", "utf-32"):
        assert (
            encoding.upper() in school.refused(raw("users", text.encode(encoding)), "wrong-encoding")["message"].upper()
        )


def test_26_bytes_not_utf8_are_refused_with_their_line(school: School) -> None:
    text = DAY_ONE.with_user(ONE, familyName="Müller").text("users").encode("windows-1252")
    found = school.refused(raw("users", text), "wrong-encoding")
    assert found["line"] == line_of(ONE) + 1


def test_27_control_characters_quarantine_rows_and_refuse_headers(school: School) -> None:
    made = DAY_ONE.with_user(ONE, familyName="Mu\x00ller")
    school.aside(made, "control-character", ONE)
    header, *rows = lines("users")
    school.refused(
        raw("users", as_file([header.replace("status", "sta\x00tus"), *rows])), "control-character-in-header"
    )


def test_28_previously_corrupted_text_is_reported_and_counted(school: School) -> None:
    assert "1 " in school.told(DAY_ONE.with_user(ONE, familyName="MÃ¼ller"), "garbled-text")["message"]


def test_29_all_line_ends_and_quoted_breaks_keep_line_numbers(school: School) -> None:
    school.quiet(raw("users", as_file(lines("users"), "\r\n")))
    school.quiet(raw("users", as_file(lines("users"), "\r")))
    rows = lines("orgs")
    broken = as_file([rows[0], rows[1].replace("Example District", '"Example\nDistrict"'), *rows[2:]])
    wrong = DAY_ONE.raw("orgs.csv", broken).with_user(ONE, role="wizard")
    found = school.aside(wrong, "unknown-role", ONE)
    assert found[0]["line"] == line_of(ONE) + 1


def test_30_unclosed_quote_is_refused_with_its_line(school: School) -> None:
    found = school.refused(with_line(ONE, '"{}'), "unbalanced-quote")
    assert found["line"] == line_of(ONE) + 1


@pytest.mark.parametrize(
    ("key", "name"),
    [(ONE, "x" * 200_000), (ONE, 'x, "' * 50_000), ("u" * 200_000, "Nia")],
    ids=["name", "quoted", "key"],
)
def test_31_huge_value_refuses_the_file_with_its_line(school: School, key: str, name: str) -> None:
    found = school.refused(DAY_ONE.with_user(key, givenName=name), "huge-field")
    assert found["line"] == (line_of(ONE) + 1 if key == ONE else len(lines("users")) + 1)


def test_31_long_value_is_kept_as_it_is(school: School) -> None:
    school.quiet(DAY_ONE.with_user(ONE, givenName="x" * 5_000))
    assert school.project.ask(f"{GIVEN_NAME} = '{ONE}'") == [("x" * 5_000,)]


def test_32_ragged_row_is_quarantined_and_many_refuse(school: School) -> None:
    found = school.aside(with_line(ONE, "{},surplus"), "ragged-row", ONE)
    assert found[0]["line"] == line_of(ONE) + 1
    header, *rows = lines("users")
    school.refused(raw("users", as_file([header, *(f"{row},x" for row in rows)])), "too-many-malformed-rows")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_33_another_delimiter_is_refused_by_its_name(school: School, delimiter: str) -> None:
    text = DAY_ONE.text("users").replace(",", delimiter)
    school.refused(raw("users", text), "wrong-delimiter")


def test_34_headers_match_loosely_but_missing_or_duplicate_are_refused(school: School) -> None:
    header, *rows = lines("users")
    school.told(raw("users", as_file([header.replace("sourcedId", "\u200bSourcedID "), *rows])), "header-spelling")
    school.refused(raw("users", as_file([header.replace("username", "loginname"), *rows])), "missing-column")
    school.refused(raw("users", as_file([header.replace("middleName", "role"), *rows])), "duplicate-header")


def test_35_keys_altered_by_a_spreadsheet_are_reported_or_held(school: School) -> None:
    school.told(DAY_ONE.with_user("9.1E+11", identifier="555"), "spreadsheet-number")
    damaged = DAY_ONE
    for key in STUDENTS[:10]:
        damaged = damaged.with_user(key, identifier="1.23E+11")
    school.held(damaged, "keys-damaged")


@pytest.mark.parametrize("value", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "\tx", "\rx"])
def test_36_spreadsheet_formula_is_kept_and_shown_on_one_line(school: School, value: str) -> None:
    before = school.live()
    quoted = DAY_ONE.with_user(ONE, givenName="NAME").text("users").replace("NAME", f'"{value}"')
    assert school.apply(raw("users", quoted)).code == 0
    assert school.project.ask(f"{GIVEN_NAME} = '{ONE}'") == [(value.strip(),)]
    assert school.live() == before
    back = DAY_ONE.zip(school.project.folder / "back.zip")
    for output in ("text", "markdown", "html"):
        shown = school.project.run("plan", "springfield", "--zip", back, "--people", "full", "--format", output).out
        assert "\t" not in shown
        assert "\r" not in shown
        # A bar would end the cell of a Markdown table.
        name = value.strip().replace("|", "\\u007c") if output == "markdown" else value.strip()
        assert any(cell.format(name) in html.unescape(shown) for cell in ("{} →", "`{}`", "<code>{}</code>", ">{}<"))


def test_36_carriage_return_outside_quotes_breaks_only_its_row(school: School) -> None:
    school.aside(DAY_ONE.with_user(ONE, givenName="\rx"), "ragged-row", ONE)


def test_37_lookalike_keys_are_reported_as_different_people(school: School) -> None:
    school.told(DAY_ONE.with_user("U-0001", username="other", identifier="777"), "keys-alike")


@pytest.mark.parametrize("key", ["a/b", "a?b=c", "a;b", "x'; DROP TABLE accounts; --", "k" * 300])
def test_38_a_sourced_id_is_opaque(school: School, key: str) -> None:
    made = DAY_ONE.with_user(key, username="opaque", identifier="888")
    school.quiet(made)
    assert ("user", key) in school.live()


def test_38_list_splits_only_at_unquoted_commas(school: School) -> None:
    made = DAY_ONE.with_row("orgs", "s,9", name="Comma School", type="school", parentSourcedId="d-1")
    made = made.with_user(ONE, orgSourcedIds='s-1,"s,9"')
    school.apply(made)
    assert ("org", "s,9") in school.live()
    orgs = school.project.ask(
        "SELECT o.sourced_id FROM account_roles r JOIN orgs o ON o.id = r.org_id JOIN identities i"
        f" ON i.account_id = r.account_id WHERE i.subject = '{ONE}'"
    )
    assert {row[0] for row in orgs} == {"s-1", "s,9"}
