"""Text of strangers is shown on one line, and changes nothing around it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.service.text import clean_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoe\u0308", "Zoë"),
        ("  Ada \t\n Lovelace ", "Ada Lovelace"),
        ("\u202eevil\u202c", "evil"),
        ("a\u200bb\ufeff", "ab"),
        ("<b>&\"'", "<b>&\"'"),
        ("क्\u200dष", "क्\u200dष"),
        ("x" * 30, "x" * 19 + "…"),
        ("\u00a0\u3000", ""),
    ],
)
def test_lines_are_cleaned(text: str, shown: str) -> None:
    assert clean_line(text, 20) == shown


@given(st.text())
def test_a_line_has_no_unseen_character_and_a_second_cleaning_changes_nothing(text: str) -> None:
    line = clean_line(text, 40)
    assert len(line) <= 40
    assert not [each for each in line if unicodedata.category(each) in ("Cc", "Cs", "Co", "Cn")]
    assert clean_line(line, 40) == line
