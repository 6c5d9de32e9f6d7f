"""Suggestions: they point the right way, or there is none."""

from __future__ import annotations

import pytest

from reconciler.model.suggestion import find_intended_name


@pytest.mark.parametrize(
    ("written", "names", "meant"),
    [
        ("paln", ("plan", "apply", "show"), "plan"),
        ("givenName", ("given_name", "family_name"), "given_name"),
        ("Given name", ("given_name", "family_name"), "given_name"),
        ("DAILY", ("daily", "weekly"), "daily"),
        ("administrator", ("admin", "instructor"), "admin"),
        ("shoe_size", ("sourced_id", "email"), None),
        ("force", ("format", "store"), None),
        ("b1", ("a1", "c1"), None),
        ("", ("plan",), None),
        ("plan", (), None),
    ],
)
def test_a_near_name_is_found_and_a_far_one_is_not(written: str, names: tuple[str, ...], meant: str | None) -> None:
    assert find_intended_name(written, names, {"administrator": "admin"}) == meant


def test_two_names_that_are_equally_near_suggest_none() -> None:
    assert find_intended_name("north-hihg", ("north-high", "north-hight")) == "north-high"
    assert find_intended_name("school-c", ("school-a", "school-b")) is None


def test_a_synonym_counts_only_where_it_is_valid() -> None:
    synonyms = {"teacher": ("instructor", "teacher")}
    assert find_intended_name("Teacher", ("instructor", "student"), synonyms) == "instructor"
    assert find_intended_name("Teacher", ("identifier", "email"), synonyms) is None
