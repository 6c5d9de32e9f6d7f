"""Finds the comments of a text and gives each to the entry that it speaks of.

Above a key or an item: to that one. Behind a value: to that one. Below the last entry of a mapping or list, and as
deep as it: to its foot. Before the first key: to the head of the file; where a blank line divides what stands there,
what is below the last one belongs to the first key.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.config.formatting.nodes import BLANK, Document, Entry, Remark, Scalar
from reconciler.config.formatting.parse import Box, Parsed, Spot, parse
from reconciler.config.formatting.write import BREAKS

_LINE_END = re.compile(f"\r\n|[{BREAKS}]")
_COMMENT = re.compile(f"#[^{BREAKS}]*")
_HEADER = re.compile(r"[|>][-+0-9]*[ \t]+(?=#)")


@dataclass(frozen=True, slots=True)
class Comment:
    """index, column: where its `#` stands. alone: nothing stands before it on its line."""

    text: str
    index: int
    column: int
    alone: bool
    after_blank: bool


def with_comments(text: str) -> Document:
    """The document of a text that `reader.read` accepts, without the mark of byte order."""
    return _Giving(text).document


class _Giving:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._parsed = parse(text)
        self._starts = [spot.start for spot in self._parsed.spots]
        self._flows = [box for box in self._parsed.boxes if box.node.flow]
        self.document = Document(self._parsed.root)
        for comment in self._comments():
            self._give(comment)
        for spot in self._parsed.spots:
            if self._opens_after_blank(spot.start):
                spot.entry.above.append(BLANK)
        self._divide_head()

    def _comments(self) -> Iterator[Comment]:
        for index in _hashes(self._text, self._parsed):
            line = self._line(index)
            match = _COMMENT.match(self._text, index)
            assert match is not None
            alone = not self._text[self._lines[line] : index].strip()
            yield Comment(match[0].rstrip(), index, index - self._lines[line], alone, self._blank(line - 1))

    def _blank(self, line: int) -> bool:
        return line >= 0 and not self._text[self._lines[line] : self._lines[line + 1]].strip()

    def _opens_after_blank(self, index: int) -> bool:
        line = self._line(index)
        return not self._text[self._lines[line] : index].strip() and self._blank(line - 1)

    def _give(self, comment: Comment) -> None:
        place = bisect_left(self._starts, comment.index)
        before = self._parsed.spots[place - 1] if place else None
        after = self._parsed.spots[place] if place < len(self._starts) else None
        inside = next((box for box in reversed(self._flows) if box.start < comment.index < box.end), None)
        if comment.index >= self._parsed.end:
            _add(self._parsed.root.foot, comment)
        elif before is None and not (inside and after):
            _add(self.document.head, comment)
        elif inside is not None:
            self._give_inside(comment, inside, before, after)
        elif comment.alone:
            assert before is not None
            _add(self._lines_for(comment, before, after), comment)
        else:
            self._put_behind(comment, before, comment.column)

    def _line(self, index: int) -> int:
        return bisect_right(self._lines, index) - 1

    def _give_inside(self, comment: Comment, box: Box, before: Spot | None, after: Spot | None) -> None:
        """Of a comment in braces or brackets: they become lines, since it cannot stand in one."""
        opened = before is not None and before.start > box.start
        if not comment.alone and opened:
            self._put_behind(comment, before, 0)
        elif after is not None and after.start < box.end:
            _add(after.entry.above, comment)
        elif opened:
            _add(box.node.foot, comment)
        else:
            _add(box.owner.entry.above if box.owner else self.document.head, comment)

    def _put_behind(self, comment: Comment, spot: Spot | None, column: int) -> None:
        while spot is not None and spot.box.node.flow and spot.box.end <= comment.index:
            spot = spot.box.owner
        if spot is None:
            _add(self._parsed.root.foot, comment)
            return
        entry = spot.entry
        if entry.behind is not None:
            entry.above.append(entry.behind.text)
        # what closes on another line than it begins has no column to keep
        entry.behind = Remark(comment.text, column if self._line(spot.start) == self._line(comment.index) else 0)

    def _lines_for(self, comment: Comment, before: Spot, after: Spot | None) -> list[str]:
        value = before.entry.value
        if comment.index < before.value_start and (isinstance(value, Scalar) or value.flow):
            return before.entry.above
        if after is not None and (after.box is before.inner or comment.column <= after.column):
            return after.entry.above
        chosen = self._as_deep(comment.column, before)
        if chosen is None:
            return after.entry.above if after is not None else self._parsed.root.foot
        return after.entry.above if after is not None and chosen in _around(after) else chosen.node.foot

    def _as_deep(self, column: int, before: Spot) -> Box | None:
        """The innermost mapping or list around an entry that begins no further right. A list in its key's own column
        is not meant by what stands there."""
        for box in _around(before):
            outer = box.owner.box.column if box.owner else -1
            if not box.node.flow and box.column <= column and not (box.column == column == outer):
                return box
        return None

    def _divide_head(self) -> None:
        """Where blank lines stand in the head, what is below the last is the first key's own."""
        head = self.document.head
        if head[:1] == [BLANK]:
            del head[0]
        first = self._parsed.root.entries[0] if self._parsed.root.entries else None
        if first is None or not head:
            return
        _move_blank(first, head)
        last = max((place for place, line in enumerate(head) if line == BLANK), default=None)
        if last is not None:
            first.above[:0] = head[last + 1 :]
            del head[last + 1 :]


def _move_blank(first: Entry, head: list[str]) -> None:
    """The blank line below the head is the head's, if nothing of the first key's own stands above it."""
    if first.above == [BLANK]:
        first.above.clear()
        head.append(BLANK)


def _add(lines: list[str], comment: Comment) -> None:
    if comment.after_blank and comment.alone:
        lines.append(BLANK)
    lines.append(comment.text)


def _around(spot: Spot) -> Iterator[Box]:
    """The mappings and lists that an entry stands in, innermost first."""
    box: Box | None = spot.box
    while box is not None:
        yield box
        box = box.owner.box if box.owner else None


def _hashes(text: str, parsed: Parsed) -> Iterator[int]:
    """Where comments begin: at every # that stands in no scalar, and behind the head of a block of text."""
    position = 0
    for start, end in [*parsed.scalars, (len(text), len(text))]:
        yield from _between(text, position, start)
        header = _HEADER.match(text, start, end)
        if header:
            yield header.end()
        position = end


def _between(text: str, start: int, end: int) -> Iterator[int]:
    while match := _COMMENT.search(text, start, end):
        yield match.start()
        start = match.end()
