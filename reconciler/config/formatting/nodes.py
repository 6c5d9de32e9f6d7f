"""A document as people wrote it: values with the comments that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

#: a line between sections, among the lines of comments
BLANK = ""


class ScalarStyle(Enum):
    """How a scalar was written, as far as it tells what it means."""

    PLAIN = "plain"
    QUOTED = "quoted"
    FOLDED = "folded"


@dataclass(slots=True)
class SyntaxScalar:
    """value: its text. folded: of a folded block, its chomping and its lines without their indentation."""

    value: str
    style: ScalarStyle = ScalarStyle.QUOTED
    folded: tuple[str, tuple[str, ...]] | None = None


@dataclass(slots=True)
class TrailingComment:
    """The comment behind a value, with its `#`. column: where it stood, from 0; 0 where that means nothing."""

    text: str
    column: int = 0


@dataclass(slots=True)
class SyntaxEntry:
    """A key with its value, or an item of a list (key None). above: the lines of comments that stand above it, with
    their `#`, and blank lines among and below them."""

    key: SyntaxScalar | None
    value: SyntaxNode
    lines_above: list[str] = field(default_factory=list)
    trailing_comment: TrailingComment | None = None

    @property
    def name(self) -> str:
        return self.key.value if self.key else ""


@dataclass(slots=True)
class SyntaxMapping:
    """flow: written in braces. foot: comments below its last entry."""

    flow: bool = False
    entries: list[SyntaxEntry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)

    def get_entry(self, name: str) -> SyntaxEntry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(slots=True)
class SyntaxSequence:
    """flow: written in brackets. foot: comments below its last item."""

    flow: bool = False
    entries: list[SyntaxEntry] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)


SyntaxNode: TypeAlias = SyntaxScalar | SyntaxMapping | SyntaxSequence


@dataclass(slots=True)
class SyntaxDocument:
    """head: the comments on top of the file, which stay there whatever key comes first."""

    root: SyntaxMapping
    head: list[str] = field(default_factory=list)


def iter_node_comments(node: SyntaxNode) -> Iterator[str]:
    """Every comment inside a node, in the order of the text."""
    if isinstance(node, SyntaxScalar):
        return
    for entry in node.entries:
        yield from iter_entry_comments(entry)
    yield from filter(None, node.foot)


def iter_entry_comments(entry: SyntaxEntry) -> Iterator[str]:
    """Every comment of an entry: above it, behind it and inside its value."""
    yield from filter(None, entry.lines_above)
    if entry.trailing_comment:
        yield entry.trailing_comment.text
    yield from iter_node_comments(entry.value)
