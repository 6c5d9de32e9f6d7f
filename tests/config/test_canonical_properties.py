"""Of any document, however it is written: the canonical form keeps every value, its kind and every comment, and is its
own canonical form."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.config.formatting.format import format_canonical_text
from reconciler.config.formatting.order import get_fields_by_key
from reconciler.config.models.customer import Customer
from reconciler.config.yaml.reader import read_yaml

KEYS = [*get_fields_by_key(Customer), "type", "sync", "limits", "users", "floor", "percent", "strange", "no", "1"]
TEXTS = [
    "a",
    "b c",
    "1.1",
    "02134",
    "2026-08-01",
    "02:30",
    "yes",
    "null",
    "",
    "it's",
    '"q"',
    "a: b",
    "a #b",
    "@x",
    "- x",
]
TEXTS += ["# no comment", "[x", "x]", "{", "a,b", "http://a.example:80/b", "&a", "*a", "!a", "|", ">", "%", "é 𝄞", "-"]
TEXTS += [
    "one\ntwo",
    "one\n\n two\n",
    "  deep\nless",
    "trailing \nblank",
    "end\n\n",
    "\n",
    "tab\there",
    "?",
    "? a",
    "...",
]

Value = Any
texts = st.sampled_from(TEXTS) | st.text(max_size=8)
values = st.recursive(
    texts | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
documents = st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=6)


class Writer:
    """Writes a value as somebody may: any depth, any quotes, braces or lines, comments wherever they may stand."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.comments: list[str] = []

    def chance(self) -> bool:
        return self._random.random() < 0.4

    def comment(self) -> str:
        begin = self._random.choice(["", " ", ' "', "# key: "])
        self.comments.append(f"#{begin}c{len(self.comments)}.")
        return self.comments[-1]

    def behind(self) -> str:
        return " " * self._random.randint(1, 4) + self.comment() if self.chance() else ""

    def above(self, indent: int) -> list[str]:
        lines = []
        for _ in range(self._random.randint(0, 2)):
            lines.append("" if self.chance() else " " * indent + self.comment())
        return lines

    def scalar(self, value: str | None) -> str:
        if value is None:
            return self._random.choice(["null", "~"])
        styles = ["plain", "double"] + (["single"] if "\n" not in value and value.isprintable() else [])
        match self._random.choice(styles):
            case "plain":
                return value
            case "single":
                return "'" + value.replace("'", "''") + "'"
            case _:
                return json.dumps(value)

    def flow(self, value: Value) -> str:
        end = f" {self.comment()}\n " if isinstance(value, dict | list) and self.chance() else ""
        match value:
            case dict():
                inside = [f"{json.dumps(key)}: {self.flow(each)}" for key, each in value.items()]
                return "{" + end + ", ".join(inside) + "}"
            case list():
                return "[" + end + ", ".join(self.flow(each) for each in value) + "]"
            case _:
                return json.dumps(value)

    def block(self, value: dict[str, Value] | list[Value], indent: int) -> list[str]:
        lines = []
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            opening = " " * indent + (f"{self.scalar(key)}:" if isinstance(key, str) else "-")
            lines += [*self.above(indent), *self.entry(opening, each, indent, in_list=isinstance(value, list))]
        return [*lines, *self.above(indent)]

    def entry(self, opening: str, value: Value, indent: int, *, in_list: bool) -> list[str]:
        deeper = indent + self._random.randint(1, 4)
        if isinstance(value, dict | list):
            if not value or self.chance():
                return [f"{opening} {self.flow(value)}{self.behind()}"]
            if isinstance(value, list) and not in_list and self.chance():
                deeper = indent
            return [opening + self.behind(), *self.block(value, deeper)]
        if value and "\n" in value and value.strip() and self.chance():
            mark = self._random.choice(["|", "|-", "|+", ">", ">-"])
            lines = [" " * deeper + line if line else "" for line in value.split("\n")]
            return [f"{opening} {mark}{self.behind()}", *lines]
        return [f"{opening} {self.scalar(value)}{self.behind()}"]


def kinds(value: Value) -> Value:
    """A tree as plain values, to be compared."""
    return json.loads(json.dumps(value))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(documents, st.integers(0, 2**32))
def test_values_and_comments_survive_and_formatting_is_idempotent(document: dict[str, Value], seed: int) -> None:
    writer = Writer(seed)
    text = "\n".join(writer.block(document, 0)) + "\n"
    before, found = read_yaml(text.encode(), "customer.yaml")
    assume(before is not None and not found)
    # a comment that the text has in a scalar is none
    comments = [each for each in writer.comments if each not in json.dumps(before, ensure_ascii=False)]
    made = format_canonical_text(text.encode(), "customer.yaml")
    after, found = read_yaml(made.encode(), "customer.yaml")
    assert (kinds(after), found) == (kinds(before), ())
    lines = [line.strip() for line in made.split("\n")]
    for comment in comments:
        assert sum(line.endswith(comment) for line in lines) == 1
    assert format_canonical_text(made.encode(), "customer.yaml") == made
    assert made.endswith("\n")
    assert not made.endswith("\n\n")
    assert all(line == line.rstrip(" \t") for line in made.split("\n"))


@settings(max_examples=50, deadline=None)
@given(st.permutations(list(get_fields_by_key(Customer))), st.lists(st.booleans(), min_size=20, max_size=20))
def test_keys_keep_their_comments_in_any_order(keys: list[str], nested: list[bool]) -> None:
    text = "# head\n\n"
    for key, deep in zip(keys, nested, strict=False):
        text += f"# above {key}\n{key}: # behind {key}\n    country: x\n    # foot {key}\n" if deep else ""
        text += "" if deep else f"# above {key}\n{key}: x # behind {key}\n"
    made = format_canonical_text(text.encode(), "customer.yaml")
    lines = made.split("\n")
    assert [line.partition(":")[0] for line in lines if line[:1].isalpha()] == list(get_fields_by_key(Customer))
    for key, deep in zip(keys, nested, strict=False):
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{key}:"))
        assert lines[place - 1] == f"# above {key}"
        assert lines[place].endswith(f"# behind {key}")
        assert not deep or lines[place + 1 : place + 3] == ["  country: x", f"  # foot {key}"]
