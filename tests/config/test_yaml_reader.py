"""The reader: what it takes, what it refuses, and where it says that things stand."""

from __future__ import annotations

import pytest

from reconciler.config.yaml.reader import MAX_BYTES, read_yaml
from reconciler.config.yaml.tree import find_place, get_key_span, get_value_span


def only(data: str | bytes) -> tuple[str, int, int]:
    """Code, line and column of the one diagnostic."""
    _, found = read_yaml(data.encode() if isinstance(data, str) else data, "f.yaml")
    (diagnostic,) = found
    assert diagnostic.span is not None
    return diagnostic.code, diagnostic.span.line, diagnostic.span.column


def test_scalars_stay_the_text_that_was_written() -> None:
    tree, found = read_yaml(b"a: 02134\nb: no\nc: 02:30\nd: 1.10\ne: '7'\nf: 2026-08-01\n", "f.yaml")
    assert found == ()
    assert tree == {"a": "02134", "b": "no", "c": "02:30", "d": "1.10", "e": "7", "f": "2026-08-01"}


@pytest.mark.parametrize("null", ["", " ~", " null", " Null", " NULL"])
def test_a_plain_null_is_none(null: str) -> None:
    assert read_yaml(f"a:{null}\n".encode(), "f.yaml")[0] == {"a": None}


def test_a_quoted_null_is_a_text() -> None:
    assert read_yaml(b"a: 'null'\nb: ''\n", "f.yaml")[0] == {"a": "null", "b": ""}


def test_every_key_and_value_knows_its_place() -> None:
    tree, _ = read_yaml(b"# comment\na:\n  - b: {c: 1}\n  - two\n", "f.yaml")
    assert tree is not None
    place, node, found = find_place(tree, ("a", 0, "b", "c"))
    assert (str(get_key_span(place)), str(get_value_span(place)), node) == ("f.yaml:3:9", "f.yaml:3:12", "1")
    assert found == ("a", 0, "b", "c")
    assert str(get_value_span(find_place(tree, ("a", 1))[0])) == "f.yaml:4:5"


def test_missing_value_is_placed_at_its_deepest_ancestor() -> None:
    tree, _ = read_yaml(b"a:\n  b: 1\n", "f.yaml")
    assert tree is not None
    place, _, found = find_place(tree, ("a", "some-tag", "missing"))
    assert (str(get_key_span(place)), found) == ("f.yaml:1:1", ("a",))


def test_columns_count_characters_without_a_byte_order_mark() -> None:
    assert only("\ufeffé: 1\né: 2\n") == ("duplicate-key", 2, 1)
    assert only("{é: 1, é: 2}\n") == ("duplicate-key", 1, 8)


def test_a_duplicate_key_is_refused_in_nested_mappings_too() -> None:
    assert only("a:\n  b: 1\n  c: 2\n  b: 3\n") == ("duplicate-key", 4, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", [("anchor", 1, 4)]),
        ("a: &x 1\nb: *x\n", [("anchor", 1, 4), ("alias", 2, 4)]),
        ("a: *x\n", [("alias", 1, 4)]),
        ("<<: {a: 1}\n", [("merge-key", 1, 1)]),
        ("a: !!str 1\n", [("tag", 1, 4)]),
        ("a: !secret {b: 1}\n", [("tag", 1, 4)]),
        ("? [a]\n: 1\n", [("key-not-text", 1, 3)]),
        ("~: 1\n", [("key-not-text", 1, 1)]),
        ("a: 1\n---\nb: 2\n", [("several-documents", 2, 1)]),
        ("", [("empty-file", 1, 1)]),
        ("# only a comment\n", [("empty-file", 1, 1)]),
        ("---\n", [("empty-file", 2, 1)]),
        ("- a\n", [("wrong-type", 1, 1)]),
        ("a:\n\tb: 1\n", [("tab-indentation", 2, 1)]),
        ("a: b\n\tc: 1\n", [("tab-indentation", 2, 1)]),
        ("a: [1, 2\nb: 1\n", [("yaml-syntax", 2, 2)]),
        ("a: [1,", [("yaml-syntax", 2, 1)]),
        ("a: b: c\n", [("yaml-syntax", 1, 5)]),
        ("a: @x\n", [("yaml-syntax", 1, 4)]),
        ("a: 'x\n", [("yaml-syntax", 2, 1)]),
        ("ab: \x07\n", [("control-character", 1, 5)]),
    ],
)
def test_what_is_not_taken_is_said_with_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    _, found = read_yaml(text.encode(), "f.yaml")
    assert [(each.code, each.span.line, each.span.column) for each in found if each.span] == expected


def test_several_mistakes_of_one_file_are_all_said() -> None:
    _, found = read_yaml(b"a: 1\na: 2\nb: &x 1\n<<: 1\n", "f.yaml")
    assert [each.code for each in found] == ["duplicate-key", "anchor", "merge-key"]


def test_bytes_not_utf8_are_reported_by_offset_and_line() -> None:
    data = "a: é\nb: ".encode() + b"\xff\n"
    assert only(data) == ("not-utf8", 2, 4)
    assert "byte 9 " in read_yaml(data, "f.yaml")[1][0].message


def test_file_over_a_megabyte_is_refused() -> None:
    assert read_yaml(b"a: " + b"x" * (MAX_BYTES - 4) + b"\n", "f.yaml")[1] == ()
    assert only(b"a: " + b"x" * MAX_BYTES)[0] == "file-too-large"


def test_a_document_that_is_nested_without_end_is_refused() -> None:
    assert only("a: " + "[" * 500 + "]" * 500)[0] == "yaml-syntax"


@pytest.mark.parametrize(
    "text",
    [
        "password: *hunter2\n",
        "password: &hunter2 x\n",
        "password: !hunter2 x\n",
        "password: @hunter2\n",
        "password: [hunter2\n",
        "password: hunter2: x\n",
        "password: 'hunter2\n",
        "? [hunter2]\n: 1\n",
        "password: {hunter2 hunter2: 1, hunter2 hunter2: 2}\n",
    ],
)
def test_no_mistake_repeats_a_value(text: str) -> None:
    _, found = read_yaml(text.encode(), "f.yaml")
    assert found
    assert "hunter2" not in "".join(str(each) for each in found)
