"""A document as people wrote it: values with the comments that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

#: a line between sections, among the lines of comments
BLANK = ""


class Style(Enum):
    """How a scalar was written, as far as it tells what it means."""

    PLAIN = "plain"
    QUOTED = "quoted"
    FOLDED = "folded"


@dataclass(slots=True)
class Scalar:
    """value: its text. folded: of a folded block, its chomping and its lines without their indentation."""

    value: str
    style: Style = Style.QUOTED
    folded: tuple[str, tuple[str, ...]] | None = None


@dataclass(slots=True)
class Remark:
    """The comment behind a value, with its `#`. column: where it stood, from 0; 0 where that means nothing."""

    text: str
    column: int = 0


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a list (key None). above: the lines of comments that stand above it, with
    their `#`, and blank lines among and below them."""

    key: Scalar | None
    value: Node
    above: list[str] = field(default_factory=list)
    behind: Remark | None = None

    @property
    def name(self) -> str:
        return self.key.value if self.key else ""


@dataclass(slots=True)
class Mapping:
    """flow: written in braces. foot: comments below its last entry."""

    flow: bool = False
    entries: list[Entry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)

    def get(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(slots=True)
class Sequence:
    """flow: written in brackets. foot: comments below its last item."""

    flow: bool = False
    entries: list[Entry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)


Node: TypeAlias = Scalar | Mapping | Sequence


@dataclass(slots=True)
class Document:
    """head: the comments on top of the file, which stay there whatever key comes first."""

    root: Mapping
    head: list[str] = field(default_factory=list)


def comments_in(node: Node) -> Iterator[str]:
    """Every comment inside a node, in the order of the text."""
    if isinstance(node, Scalar):
        return
    for entry in node.entries:
        yield from comments_of(entry)
    yield from filter(None, node.foot)


def comments_of(entry: Entry) -> Iterator[str]:
    """Every comment of an entry: above it, behind it and inside its value."""
    yield from filter(None, entry.above)
    if entry.behind:
        yield entry.behind.text
    yield from comments_in(entry.value)
