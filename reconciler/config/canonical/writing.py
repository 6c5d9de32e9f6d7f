"""Nodes with comments, written as text.

Two spaces deep, lists below their key as well. What was in braces or brackets stays so if it fits on its line and holds
no comment. A comment behind a value stays in its column where there is room, else two spaces behind the value.
"""

from __future__ import annotations

from collections.abc import Sequence as Lines

from reconciler.config.canonical.nodes import (
    BLANK,
    Document,
    Entry,
    Mapping,
    Node,
    Remark,
    Scalar,
    Sequence,
    comments_in,
)
from reconciler.config.canonical.scalars import block, inline

WIDTH = 120
STEP = 2


def written(document: Document) -> str:
    """The text of a document, one newline at its end."""
    writer = _Writer()
    head = list(document.head)
    root = document.root
    if not root.entries:
        writer.above([*head, *(line for line in root.foot if not head or line)], 0)
        return "\n".join([*writer.lines, "{}", ""])
    first, *others = root.entries
    if head and head[-1] != BLANK and first.above:
        head.append(BLANK)
    writer.above(head, 0)
    writer.entry(_without_blank(first), 0, "", 0)
    for entry in others:
        writer.entry(entry, 0, "", 0)
    writer.above(root.foot, 0)
    return "\n".join([*writer.lines, ""])


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def above(self, lines: Lines[str], margin: int) -> None:
        self.lines.extend(" " * margin + line if line else BLANK for line in lines)

    def entry(self, entry: Entry, depth: int, lead: str, margin: int) -> None:
        """depth: of the entry's key or dash, in spaces. lead: what its line begins with. margin: how far the line's
        comments are indented, which for the first key of an item is as far as its dash."""
        value = entry.value
        begin = lead + _opening(entry)
        if isinstance(value, Scalar):
            self.above(entry.above, margin)
            self._scalar(begin, value, entry.behind, depth)
        elif _fits(value, begin):
            # of an empty one the foot has no other place
            self.above([*entry.above, *value.foot], margin)
            self._line(f"{begin} {_inline(value, flow=False)}", entry.behind)
        else:
            self.above(entry.above, margin)
            self._collection(entry, value, depth, lead, margin)

    def _scalar(self, begin: str, scalar: Scalar, behind: Remark | None, depth: int) -> None:
        header, lines = block(scalar) or (inline(scalar, flow=False), ())
        self._line(f"{begin} {header}", behind)
        self.above(lines, depth + STEP)

    def _collection(self, entry: Entry, value: Mapping | Sequence, depth: int, lead: str, margin: int) -> None:
        if entry.key is not None:
            self._line(lead + _opening(entry), entry.behind)
            first_lead, first_margin = " " * (depth + STEP), depth + STEP
        else:
            # the line of an item's dash is that of its first key, so what stands behind the dash goes above
            self.above([entry.behind.text] if entry.behind else [], margin)
            first_lead, first_margin = f"{lead}- ", margin
        first, *others = value.entries
        self.entry(_without_blank(first), depth + STEP, first_lead, first_margin)
        for each in others:
            self.entry(each, depth + STEP, " " * (depth + STEP), depth + STEP)
        self.above(value.foot, depth + STEP)

    def _line(self, text: str, behind: Remark | None) -> None:
        if behind is not None:
            gap = behind.column - len(text) if behind.column > len(text) else STEP
            text += " " * gap + behind.text
        self.lines.append(text)


def _without_blank(first: Entry) -> Entry:
    """What comes first has no blank line above it."""
    above = first.above[1:] if first.above[:1] == [BLANK] else first.above
    return Entry(first.key, first.value, above, first.behind)


def _opening(entry: Entry) -> str:
    return f"{inline(entry.key, flow=False)}:" if entry.key is not None else "-"


def _fits(node: Mapping | Sequence, begin: str) -> bool:
    if not node.entries:
        return True
    if not node.flow or next(comments_in(node), None) is not None:
        return False
    return len(f"{begin} {_inline(node, flow=False)}") <= WIDTH


def _inline(node: Node, *, flow: bool) -> str:
    if isinstance(node, Scalar):
        return inline(node, flow=flow)
    if isinstance(node, Sequence):
        return "[" + ", ".join(_inline(item.value, flow=True) for item in node.entries) + "]"
    pairs = (
        f"{inline(entry.key, flow=True)}: {_inline(entry.value, flow=True)}" for entry in node.entries if entry.key
    )
    return "{" + ", ".join(pairs) + "}"
