"""Hints of YAML errors: each fits the mistake that was made, and conflict markers are named as such."""

from __future__ import annotations

import pytest

from reconciler.config.yaml.reader import read_yaml
from reconciler.model.diagnostic import Diagnostic

QUOTE_COLON = "Quote text that contains a colon and a space."
APOSTROPHE = "Write an apostrophe twice inside single quotes, or quote the whole text with double quotes."
BACKSLASH = r"Write \\ for a backslash, or put the text in single quotes."
ALIGN = "Align this line with the keys around it."


def read_error(text: str) -> Diagnostic:
    (diagnostic,) = read_yaml(text.encode(), "f.yaml")[1]
    return diagnostic


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('a: b\nname: "Springfield\nid: x\n', "Close the quote that opens in line 2."),
        ("a: b\nname: 'Springfield\n", "Close the quote that opens in line 2."),
        ("name: 'St. Mary's School'\n", APOSTROPHE),
        ('name: "St. Mary" School\n', APOSTROPHE),
        ("name: Springfield: North\n", QUOTE_COLON),
        ("- name: a, b: c\n", QUOTE_COLON),
        ("kind: customer\n  name: x\n", f"{ALIGN[:-1]}: line 1 already has a value."),
        ("a:\n  b: 1\n\n    c: 2\n", f"{ALIGN[:-1]}: line 2 already has a value."),
        ("a:\n  b: 1\n  # why\n    c: 2\n", ALIGN),
        ("kind:customer\nid: x\n", "Write line 1 as `key: value`, with a space after the colon."),
        ("a: b\nkind customer\nid: x\n", "Write `key: value`, with a space after the colon."),
        ("a:\n  - b: 1\n c: 2\n", ALIGN),
        ("a: {b: c\nd: e\n", "Close the brace that opens in line 1, or add the missing comma."),
        ("a: {b: c d: e}\n", "Close the brace that opens in line 1, or add the missing comma."),
        ("a: [b, c\nd: e\n", "Close the bracket that opens in line 1, or add the missing comma."),
        ("a: b\nc: [a]]\n", "Delete this ], or quote the text."),
        ("a: {b: c}}\n", "Delete this }, or quote the text."),
        ("a: {b: http://x:y}\n", "Quote text that contains a colon inside { } or [ ]."),
        (r'path: "C:\data"' + "\n", BACKSLASH),
        (r'path: "\x"' + "\n", BACKSLASH),
        ("a: @b\n", "Quote text that starts with @."),
        ("a: `b`\n", "Quote text that starts with `."),
        ("a: %b\n", "Quote text that starts with %."),
        ("host: *.example\n", "Quote text that starts with *."),
        ("a: |x\n  b\n", "Begin the text on the line below | or >. Quote text that starts with | or >."),
        ("a:\n  - b\n  c: d\n", "Start each item of the list with a dash, and align the keys of an item."),
        ("a: b\n...\nc: d\n", "Delete the line `...` and what follows it: one file has one document."),
    ],
)
def test_the_hint_fits_the_mistake(text: str, hint: str) -> None:
    diagnostic = read_error(text)
    assert (diagnostic.code, diagnostic.hint) == ("yaml-syntax", hint)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: customer\n<<<<<<< HEAD\nname: x\n=======\nname: y\n>>>>>>> branch\n", 2),
        ("<<<<<<< HEAD\nkind: customer\n=======\nkind: x\n>>>>>>> branch", 1),
        ("a:\n  - b\n<<<<<<< ours\n  - c\n||||||| base\n=======\n  - d\n>>>>>>> theirs\n", 3),
        ("a: b\r\n<<<<<<< HEAD\r\nc: d\r\n=======\r\n>>>>>>> x\r\n", 2),
        ('a: "text\n<<<<<<< HEAD\nb\n=======\n>>>>>>> x\n"\n', 2),
    ],
)
def test_conflict_markers_are_named(text: str, line: int) -> None:
    diagnostic = read_error(text)
    assert (diagnostic.code, diagnostic.message) == ("conflict-marker", "a merge conflict is not resolved")
    assert str(diagnostic.span) == f"f.yaml:{line}:1"


def test_a_line_of_equal_signs_is_no_conflict() -> None:
    tree, found = read_yaml(b"a: |\n  Heading\n  =======\n  <<<<<<< not at the start of the line\n", "f.yaml")
    assert found == ()
    assert tree == {"a": "Heading\n=======\n<<<<<<< not at the start of the line\n"}
