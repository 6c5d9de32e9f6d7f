"""One normal form of text: for one value and for a column alike."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.model.text_form import (
    HIDDEN,
    find_hidden_character,
    look_the_same,
    make_caseless_column,
    make_caseless_form,
    make_comparison_column,
    make_comparison_form,
    make_visible_column,
    make_visible_form,
    reveal_difference,
)

#: letters and marks that have several forms, and characters that nobody sees
ODD = (
    "e\u0301\u00e9\uff21A\ufb01\u200b\u200d\u00ad\u2060\ufeff\u202e\u2066\u00a0\u3000\u202f\u2003\ufe0f\U000e0100"
    " a\u0130\u03a3K\u212a"
)
#: unassigned code points get their forms with a later Unicode than this Python's
texts = st.text(
    st.sampled_from(ODD) | st.characters(exclude_categories=["Cs", "Cn", "Co", "Cc"], max_codepoint=0x2FFFF), max_size=8
)


@given(texts)
@example("\u03a3\u200b")
def test_173_a_column_has_the_form_of_its_values(text: str) -> None:
    values = pl.Series("value", [text, None, "plain"], dtype=pl.String)
    assert make_visible_column(values).to_list() == [make_visible_form(text), None, "plain"]
    assert make_comparison_column(values).to_list() == [make_comparison_form(text), None, "plain"]
    assert make_caseless_column(values).to_list() == [make_caseless_form(text), None, "plain"]
    assert values.str.contains(HIDDEN).to_list()[0] == (find_hidden_character(text) is not None)


@given(texts)
def test_173_forms_are_their_own_forms(text: str) -> None:
    for make_form in (make_visible_form, make_comparison_form):
        assert make_form(make_form(text)) == make_form(text)


@given(texts, st.sampled_from("\u200b\u00ad\u2060\ufeff\u202e\u200d\ufe0f"), st.integers(0, 8))
def test_173_what_nobody_sees_changes_no_form(text: str, hidden: str, place: int) -> None:
    other = text[:place] + hidden + text[place:]
    assert make_visible_form(other) == make_visible_form(text)
    assert make_caseless_form(other) == make_caseless_form(text)


@given(texts)
def test_173_composed_and_decomposed_text_have_one_form(text: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        assert make_visible_form(other) == make_visible_form(text)
        assert make_comparison_form(other) == make_comparison_form(text)


@pytest.mark.parametrize(
    ("written", "visible", "compared"),
    [
        ("Jose\u0301", "Jos\u00e9", "Jos\u00e9"),
        ("\uff21\uff4e\uff4e", "\uff21\uff4e\uff4e", "Ann"),
        ("o\ufb03ce", "o\ufb03ce", "office"),
        ("Ann\u00a0Lee", "Ann Lee", "Ann Lee"),
        ("Ann\u3000\u202fLee", "Ann  Lee", "Ann Lee"),
        ("a\u200bn\u00adn\ufeff", "ann", "ann"),
        ("\u202eann\u202c", "ann", "ann"),
        ("\u200b", "", ""),
    ],
)
def test_173_forms_of_a_text(written: str, visible: str, compared: str) -> None:
    assert (make_visible_form(written), make_comparison_form(written)) == (visible, compared)


@given(texts, texts)
@example("Jose\u0301", "Jos\u00e9")
@example("Ann\u00a0Lee", "Ann Lee")
@example("\uf900", "\u8c48")
@example("ann ", "ann")
def test_174_a_revealed_difference_can_be_seen(one: str, other: str) -> None:
    if look_the_same(one, other):
        shown, also = reveal_difference(one, other)
        assert not look_the_same(shown, also)
        assert shown != also


def test_174_texts_are_revealed_by_their_code_points() -> None:
    assert reveal_difference("Jose\u0301", "Jos\u00e9") == ("Jose(U+0301)", "Jos\u00e9")
    assert reveal_difference("Ann\u00a0Lee", "Ann Lee") == ("Ann(U+00A0)Lee", "Ann Lee")
    assert reveal_difference("an\u200bn", "an\u00adn") == ("an(U+200B)n", "an(U+00AD)n")
    assert reveal_difference("\u8c48", "\uf900") == ("(U+8C48)", "(U+F900)")
