"""Defines a document as written: values with the comments that belong to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

#: a blank line among the lines of comments
BLANK = ""


class ScalarStyle(Enum):
    """The style of a scalar, as far as it affects the meaning."""

    PLAIN = "plain"
    QUOTED = "quoted"
    FOLDED = "folded"


@dataclass(slots=True)
class SyntaxScalar:
    """A scalar."""

    value: str
    style: ScalarStyle = ScalarStyle.QUOTED
    #: chomping and unindented lines of a folded block; None for other styles
    folded: tuple[str, tuple[str, ...]] | None = None
    #: a double-quoted scalar as written, on one line, if it has escapes of code points; None for any other
    escaped: str | None = None


@dataclass(slots=True)
class TrailingComment:
    """The comment behind a value, with its `#`."""

    text: str
    #: from 0; 0 if it need not be kept
    column: int = 0


@dataclass(slots=True)
class SyntaxEntry:
    """A key with its value, or an item of a list."""

    #: None for an item of a list
    key: SyntaxScalar | None
    value: "SyntaxNode"
    #: comments above the entry, with their `#`, and blank lines between and below them
    lines_above: list[str] = field(default_factory=list)
    trailing_comment: TrailingComment | None = None

    @property
    def name(self) -> str:
        return self.key.value if self.key else ""


@dataclass(slots=True)
class SyntaxMapping:
    """A mapping."""

    #: True if written in braces
    flow: bool = False
    entries: list[SyntaxEntry] = field(default_factory=list)
    #: comments below the last entry
    foot: list[str] = field(default_factory=list)

    def get_entry(self, name: str) -> SyntaxEntry | None:
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(slots=True)
class SyntaxSequence:
    """A list."""

    #: True if written in brackets
    flow: bool = False
    entries: list[SyntaxEntry] = field(default_factory=list)
    #: comments below the last item
    foot: list[str] = field(default_factory=list)


SyntaxNode: TypeAlias = SyntaxScalar | SyntaxMapping | SyntaxSequence


@dataclass(slots=True)
class SyntaxDocument:
    """A whole file."""

    root: SyntaxMapping
    #: comments at the top of the file, which stay there whatever key comes first
    head: list[str] = field(default_factory=list)


def iter_node_comments(node: SyntaxNode) -> Iterator[str]:
    """Yield every comment inside a node, in the order of the text."""
    if isinstance(node, SyntaxScalar):
        return
    for entry in node.entries:
        yield from iter_entry_comments(entry)
    yield from filter(None, node.foot)


def iter_entry_comments(entry: SyntaxEntry) -> Iterator[str]:
    """Yield every comment of an entry: above it, behind it and inside its value."""
    yield from filter(None, entry.lines_above)
    if entry.trailing_comment:
        yield entry.trailing_comment.text
    yield from iter_node_comments(entry.value)
