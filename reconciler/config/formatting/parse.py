"""Parses a text that `config.yaml.reader` accepts into nodes with their positions, to which comments are attached."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from _ruamel_yaml import CParser
from ruamel.yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent

from reconciler.config.formatting.nodes import (
    ScalarStyle,
    SyntaxEntry,
    SyntaxMapping,
    SyntaxNode,
    SyntaxScalar,
    SyntaxSequence,
)

_GAP = re.compile(r"(?:[^#-]|#[^\n\r\x85\u2028\u2029]*)*")
#: an escape of a double-quoted scalar that the writer does not write by itself; of two backslashes the second is text
_CODE_POINT_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[xuUNLP_abevf0 /]")
_CONTINUED_LINE = re.compile(r"(?<!\\)((?:\\\\)*)\\\n[ \t]*")
_FOLDED_LINE = re.compile(r"[ \t]*\n(?:[ \t]*\n)*[ \t]*")


@dataclass(slots=True, eq=False)
class CollectionPlace:
    """A mapping or a list, with its position in the text."""

    node: SyntaxMapping | SyntaxSequence
    #: the entry whose value it is; None for the root
    owner: "EntryPlace | None"
    #: index in the text; `end` likewise
    start: int
    column: int
    end: int = 0


@dataclass(slots=True, eq=False)
class EntryPlace:
    """An entry, with its position in the text."""

    entry: SyntaxEntry
    box: CollectionPlace
    #: index of the entry in the text; for an item of a block list, of its dash. `column` likewise
    start: int
    column: int
    #: index of its value in the text
    value_start: int = 0
    #: the collection that is its value; None for a scalar
    inner: CollectionPlace | None = None


@dataclass(slots=True)
class SyntaxParse:
    """The nodes of a text, with positions in the order of the text."""

    root: SyntaxMapping
    #: index of the end of the document
    end: int = 0
    spots: list[EntryPlace] = field(default_factory=list)
    boxes: list[CollectionPlace] = field(default_factory=list)
    #: (start, end) of each scalar that has any text
    scalars: list[tuple[int, int]] = field(default_factory=list)


def parse_syntax(text: str) -> SyntaxParse:
    """Parse a text that `read_yaml` accepts, without a byte order mark."""
    return _SyntaxParser(text).parsed


class _SyntaxParser:
    """Parses one text from the events of libyaml's parser."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = CParser(text).get_event
        self._end = 0  # of the last token with any text
        self.parsed = SyntaxParse(SyntaxMapping())
        self._next()  # the stream
        self._next()  # the document
        self._parse_node(self._next(), None)
        closing = self._next()
        self.parsed.end = closing.start_mark.index if closing.explicit else len(text)

    def _parse_node(self, event: Any, owner: EntryPlace | None) -> SyntaxNode:
        if isinstance(event, ScalarEvent):
            return self._parse_scalar(event)
        mapping = isinstance(event, MappingStartEvent)
        node: SyntaxMapping | SyntaxSequence = (
            SyntaxMapping(bool(event.flow_style)) if mapping else SyntaxSequence(bool(event.flow_style))
        )
        if owner is None and isinstance(node, SyntaxMapping):
            self.parsed.root = node
        box = CollectionPlace(node, owner, event.start_mark.index, event.start_mark.column)
        self.parsed.boxes.append(box)
        if owner is not None:
            owner.inner = box
        self._end = max(self._end, event.end_mark.index if event.flow_style else 0)
        for each in self._parse_entries(box) if mapping else self._parse_items(box):
            self.parsed.spots.append(each)
            self._fill_entry(each)
        return node

    def _parse_entries(self, box: CollectionPlace) -> Iterator[EntryPlace]:
        while not isinstance(event := self._next(), MappingEndEvent):
            spot = EntryPlace(
                SyntaxEntry(self._parse_scalar(event), _NOTHING), box, event.start_mark.index, event.start_mark.column
            )
            self._following = self._next()
            yield spot
        self._close_collection(box, event)

    def _parse_items(self, box: CollectionPlace) -> Iterator[EntryPlace]:
        while not isinstance(event := self._next(), SequenceEndEvent):
            start, column = event.start_mark.index, event.start_mark.column
            if not box.node.flow:
                start = self._find_dash(box, start)
                column = box.column
            self._following = event
            yield EntryPlace(SyntaxEntry(None, _NOTHING), box, start, column)
        self._close_collection(box, event)

    def _fill_entry(self, spot: EntryPlace) -> None:
        event = self._following
        spot.value_start = event.start_mark.index
        spot.box.node.entries.append(spot.entry)
        spot.entry.value = self._parse_node(event, spot)

    def _find_dash(self, box: CollectionPlace, start: int) -> int:
        """Return the index of an item's dash; only comments and the dash precede the item after the last token."""
        if not box.node.entries:
            return box.start
        gap = _GAP.match(self._text, self._end, start)
        return gap.end() if gap and gap.end() < start else start

    def _close_collection(self, box: CollectionPlace, event: Any) -> None:
        if box.node.flow:
            self._end = event.end_mark.index
        box.end = event.end_mark.index

    def _parse_scalar(self, event: Any) -> SyntaxScalar:
        start, end = event.start_mark.index, event.end_mark.index
        self._end = max(self._end, end)
        if end > start:
            self.parsed.scalars.append((start, end))
        if event.style == ">":
            folded = _parse_folded_block(self._text[start:end], event.value)
            return SyntaxScalar(event.value, ScalarStyle.FOLDED if folded else ScalarStyle.QUOTED, folded)
        if event.style == '"':
            escaped = _parse_escapes(self._text[start:end], event.value)
            return SyntaxScalar(event.value, ScalarStyle.QUOTED, escaped=escaped)
        return SyntaxScalar(event.value, ScalarStyle.PLAIN if event.implicit[0] else ScalarStyle.QUOTED)


def _parse_escapes(source: str, value: str) -> str | None:
    """Return a double-quoted scalar on one line as written; None if it has no escapes of code points, which the writer
    would replace by the characters themselves."""
    if not _CODE_POINT_ESCAPE.search(source):
        return None
    if len(source.splitlines()) > 1:
        # Joined as YAML does it: a break is a space, each further one stays, and a backslash removes it.
        source = _CONTINUED_LINE.sub(r"\1", "\n".join(source.splitlines()))
        source = _FOLDED_LINE.sub(lambda gap: "\\n" * (gap[0].count("\n") - 1) or " ", source)
        parser = CParser(source)
        events = [parser.get_event() for _ in range(3)]
        return source if events[2].value == value else None
    return source


_NOTHING = SyntaxScalar("", ScalarStyle.PLAIN)


def _parse_folded_block(source: str, value: str) -> tuple[str, tuple[str, ...]] | None:
    """Return chomping and lines of a folded block as written; None if they do not give its value, or look unusual."""
    head, *lines = source.splitlines()
    match = re.fullmatch(r">(-?)[ \t]*(#.*)?", head)
    while lines and not lines[-1].strip():
        lines.pop()
    first = next((line for line in lines if line.strip()), None)
    if match is None or first is None:
        return None
    depth = len(first) - len(first.lstrip(" "))
    if any(line != line.rstrip() or (line and line[:depth].strip()) for line in lines):
        return None
    unindented = tuple(line[depth:] for line in lines)
    parser = CParser(f"k: >{match[1]}\n" + "".join(f"  {line}\n" if line else "\n" for line in unindented))
    events = [parser.get_event() for _ in range(5)]
    return (match[1], unindented) if events[4].value == value else None
