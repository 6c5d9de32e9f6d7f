"""Values of a file with characters that nobody sees, and references in another form than their records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import codes, only, read

SMALL = bundle(users=10)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("an\u200bn", "ann"),
        ("an\u00adn\u2060", "ann"),
        ("jose\u0301", "jos\u00e9"),
        ("an\u202fn", "an n"),
        ("\uff41\uff4e\uff4e", "\uff41\uff4e\uff4e"),
    ],
)
def test_173_values_that_are_compared_are_read_in_their_visible_form(tmp_path: Path, written: str, kept: str) -> None:
    made = SMALL.with_user(
        "u-0003", username=written, identifier=written, email=f"{written}@x.example", grades="0\u200b9"
    )
    row = read(made, tmp_path).users.filter(sourced_id="u-0003").row(0, named=True)
    assert (row["username"], row["identifier"], row["email"]) == (kept, kept, f"{kept}@x.example")
    assert row["grades"] == "09"


def test_173_one_warning_names_the_first_character_and_its_line(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", username="an\u200bn").with_user("u-0005", email="b\u00adob@x.example")
    found = only(read(made, tmp_path).diagnostics)
    assert found.code == "invisible-character"
    assert "2 rows" in found.message
    assert "first line 4: U+200B ZERO WIDTH SPACE" in found.message


def test_173_another_unicode_form_alone_needs_no_warning(tmp_path: Path) -> None:
    assert read(SMALL.with_user("u-0003", username="jose\u0301"), tmp_path).diagnostics == ()


def test_173_words_of_the_standard_are_understood(tmp_path: Path) -> None:
    snapshot = read(SMALL.with_user("u-0003", role="stu\u200bdent", enabledUser="tr\u2060ue"), tmp_path)
    assert snapshot.quarantine.height == 0
    assert snapshot.users.filter(sourced_id="u-0003")["enabled"].item() is True


def test_173_names_are_kept_as_written(tmp_path: Path) -> None:
    names = {"givenName": "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "familyName": "\u845b\U000e0100"}
    row = read(SMALL.with_user("u-0003", **names), tmp_path).users.filter(sourced_id="u-0003").row(0, named=True)
    assert (row["given_name"], row["family_name"]) == (names["givenName"], names["familyName"])


def test_176_a_reference_in_another_form_means_its_record(tmp_path: Path) -> None:
    made = SMALL.with_user("ren\u00e9e", username="renee").with_row(
        "enrollments", "e-99", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="rene\u0301e", role="student"
    )
    snapshot = read(made, tmp_path)
    assert snapshot.enrollments["user"].to_list()[-1] == "ren\u00e9e"
    assert (snapshot.quarantine.height, codes(snapshot.diagnostics)) == (0, [])


def test_176_a_reference_that_looks_like_two_records_means_neither(tmp_path: Path) -> None:
    made = (
        SMALL.with_user("ren\u00e9e", username="x1")
        .with_user("rene\u0301e", username="x2")
        .with_row(
            "enrollments",
            "e-99",
            classSourcedId="c-01",
            schoolSourcedId="s-2",
            userSourcedId="ren\u00e9\u200be",
            role="student",
        )
    )
    assert read(made, tmp_path).quarantine["code"].to_list() == ["dangling-reference"]
