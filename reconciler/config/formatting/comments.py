"""Finds the comments of a YAML text and attaches each to the entry that it describes.

A comment above a key or an item, or behind its value, belongs to that entry. A comment below the last entry of a
mapping or list, at its depth, belongs to its foot. Comments before the first key belong to the head of the file; if a
blank line divides them, those below the last blank line belong to the first key.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.config.formatting.nodes import BLANK, SyntaxDocument, SyntaxEntry, SyntaxScalar, TrailingComment
from reconciler.config.formatting.parse import CollectionPlace, EntryPlace, SyntaxParse, parse_syntax
from reconciler.config.formatting.write import LINE_BREAKS

_LINE_END = re.compile(f"\r\n|[{LINE_BREAKS}]")
_COMMENT = re.compile(f"#[^{LINE_BREAKS}]*")
_HEADER = re.compile(r"[|>][-+0-9]*[ \t]+(?=#)")


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment of the text."""

    text: str
    #: position of its `#` in the text; `column`: in its line
    index: int
    column: int
    #: True if nothing precedes it on its line
    is_alone: bool
    after_blank: bool


def parse_with_comments(text: str) -> SyntaxDocument:
    """Return the document of a text that `read_yaml` accepts, without a byte order mark."""
    return _CommentAttacher(text).document


class _CommentAttacher:
    """Attaches the comments of a text to the nodes of its document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._parsed = parse_syntax(text)
        self._starts = [spot.start for spot in self._parsed.spots]
        self._flows = [box for box in self._parsed.boxes if box.node.flow]
        self.document = SyntaxDocument(self._parsed.root)
        for comment in self._iter_comments():
            self._attach_comment(comment)
        for spot in self._parsed.spots:
            if self._has_blank_line_above(spot.start):
                spot.entry.lines_above.append(BLANK)
        self._split_head()

    def _iter_comments(self) -> Iterator[Comment]:
        for index in _find_comment_starts(self._text, self._parsed):
            line = self._find_line(index)
            match = _COMMENT.match(self._text, index)
            assert match is not None
            alone = not self._text[self._lines[line] : index].strip()
            yield Comment(match[0].rstrip(), index, index - self._lines[line], alone, self._is_blank_line(line - 1))

    def _is_blank_line(self, line: int) -> bool:
        return line >= 0 and not self._text[self._lines[line] : self._lines[line + 1]].strip()

    def _has_blank_line_above(self, index: int) -> bool:
        line = self._find_line(index)
        return not self._text[self._lines[line] : index].strip() and self._is_blank_line(line - 1)

    def _attach_comment(self, comment: Comment) -> None:
        place = bisect_left(self._starts, comment.index)
        before = self._parsed.spots[place - 1] if place else None
        after = self._parsed.spots[place] if place < len(self._starts) else None
        inside = next((box for box in reversed(self._flows) if box.start < comment.index < box.end), None)
        if comment.index >= self._parsed.end:
            _add_comment(self._parsed.root.foot, comment)
        elif before is None and not (inside and after):
            _add_comment(self.document.head, comment)
        elif inside is not None:
            self._attach_inside_flow(comment, inside, before, after)
        elif comment.is_alone:
            assert before is not None
            _add_comment(self._choose_lines(comment, before, after), comment)
        else:
            self._attach_trailing_comment(comment, before, comment.column)

    def _find_line(self, index: int) -> int:
        return bisect_right(self._lines, index) - 1

    def _attach_inside_flow(
        self, comment: Comment, box: CollectionPlace, before: EntryPlace | None, after: EntryPlace | None
    ) -> None:
        """Attach a comment inside braces or brackets. The collection is then written in lines, since one line cannot
        hold it."""
        has_entry_before = before is not None and before.start > box.start
        if not comment.is_alone and has_entry_before:
            self._attach_trailing_comment(comment, before, 0)
        elif after is not None and after.start < box.end:
            _add_comment(after.entry.lines_above, comment)
        elif has_entry_before:
            _add_comment(box.node.foot, comment)
        else:
            _add_comment(box.owner.entry.lines_above if box.owner else self.document.head, comment)

    def _attach_trailing_comment(self, comment: Comment, spot: EntryPlace | None, column: int) -> None:
        while spot is not None and spot.box.node.flow and spot.box.end <= comment.index:
            spot = spot.box.owner
        if spot is None:
            _add_comment(self._parsed.root.foot, comment)
            return
        entry = spot.entry
        if entry.trailing_comment is not None:
            entry.lines_above.append(entry.trailing_comment.text)
        # A value that ends on another line has no column to keep.
        entry.trailing_comment = TrailingComment(
            comment.text, column if self._find_line(spot.start) == self._find_line(comment.index) else 0
        )

    def _choose_lines(self, comment: Comment, before: EntryPlace, after: EntryPlace | None) -> list[str]:
        value = before.entry.value
        if comment.index < before.value_start and (isinstance(value, SyntaxScalar) or value.flow):
            return before.entry.lines_above
        if after is not None and (after.box is before.inner or comment.column <= after.column):
            return after.entry.lines_above
        chosen = self._find_enclosing_collection(comment.column, before)
        if chosen is None:
            return after.entry.lines_above if after is not None else self._parsed.root.foot
        return (
            after.entry.lines_above
            if after is not None and chosen in _iter_enclosing_collections(after)
            else chosen.node.foot
        )

    def _find_enclosing_collection(self, column: int, before: EntryPlace) -> CollectionPlace | None:
        """Return the innermost block collection around an entry that starts no further right than the column, or None.

        A list in the column of its own key is skipped: a comment in that column belongs to the mapping of the key.
        """
        for box in _iter_enclosing_collections(before):
            outer = box.owner.box.column if box.owner else -1
            if not box.node.flow and box.column <= column and not (box.column == column == outer):
                return box
        return None

    def _split_head(self) -> None:
        """Move the comments below the last blank line of the head to the first key."""
        head = self.document.head
        if head[:1] == [BLANK]:
            del head[0]
        first = self._parsed.root.entries[0] if self._parsed.root.entries else None
        if first is None or not head:
            return
        _move_blank_line(first, head)
        last = max((place for place, line in enumerate(head) if line == BLANK), default=None)
        if last is not None:
            first.lines_above[:0] = head[last + 1 :]
            del head[last + 1 :]


def _move_blank_line(first: SyntaxEntry, head: list[str]) -> None:
    """Move the blank line above the first key to the end of the head, if no comment of the key's own is above it."""
    if first.lines_above == [BLANK]:
        first.lines_above.clear()
        head.append(BLANK)


def _add_comment(lines: list[str], comment: Comment) -> None:
    if comment.after_blank and comment.is_alone:
        lines.append(BLANK)
    lines.append(comment.text)


def _iter_enclosing_collections(spot: EntryPlace) -> Iterator[CollectionPlace]:
    """Yield the mappings and lists around an entry, innermost first."""
    box: CollectionPlace | None = spot.box
    while box is not None:
        yield box
        box = box.owner.box if box.owner else None


def _find_comment_starts(text: str, parsed: SyntaxParse) -> Iterator[int]:
    """Yield the position of every # outside of scalars, and of the comment behind the header of a block scalar."""
    position = 0
    for start, end in [*parsed.scalars, (len(text), len(text))]:
        yield from _find_hashes_between(text, position, start)
        header = _HEADER.match(text, start, end)
        if header:
            yield header.end()
        position = end


def _find_hashes_between(text: str, start: int, end: int) -> Iterator[int]:
    while match := _COMMENT.search(text, start, end):
        yield match.start()
        start = match.end()
