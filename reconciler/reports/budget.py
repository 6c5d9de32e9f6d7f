"""What of a long report fits into so many bytes: the most important first, and a count of what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """A frame with rows. rank: sections of a lower one get their bytes first; those of one rank in their order.
    render: a row as text. more: the words that so many rows of it are not shown. unlisted: rows that the report never
    had. share: of the bytes, how many it takes at most as long as sections of a later rank need them. owners: whose
    rows these are."""

    rank: int
    head: str
    foot: str
    rows: Sequence[Any]
    render: Callable[[Any], str]
    more: Callable[[int], str]
    unlisted: int = 0
    share: int | None = None
    owners: frozenset[str] = frozenset()


@dataclass
class Fitted:
    """A section as far as it fits. left_out: rows of it that are not shown. is_shown: False where not even its frame
    is."""

    section: Section
    shown: list[str] = field(default_factory=list)
    is_shown: bool = False

    @property
    def left_out(self) -> int:
        return len(self.section.rows) - len(self.shown) + self.section.unlisted

    @property
    def text(self) -> str:
        """Empty where it is not shown. Its frame is whole wherever it is."""
        if not self.is_shown:
            return ""
        more = self.section.more(self.left_out) if self.left_out else ""
        return f"{self.section.head}{''.join(self.shown)}{more}{self.section.foot}"


def size(text: str) -> int:
    """In bytes of UTF-8."""
    return len(text.encode())


def fit(sections: Iterable[Section], budget: int) -> list[Fitted]:
    """In the order given, whatever was cut. Their texts together have at most `budget` bytes."""
    fitted = [Fitted(section) for section in sections]
    by_rank = sorted(fitted, key=lambda each: each.section.rank)
    left = budget
    for each in by_rank:
        share = each.section.share
        left -= _fill(each, left if share is None else min(left, share))
    for each in by_rank:
        if each.section.share is not None and each.left_out > each.section.unlisted:
            left -= _fill(each, left)
    return fitted


def _fill(each: Fitted, most: int) -> int:
    """Shows as many further rows as fit; the number of bytes used. A frame without a single row is not shown."""
    section = each.section
    reserve = size(section.more(len(section.rows) + section.unlisted))
    frame = 0 if each.is_shown else size(section.head) + size(section.foot) + reserve
    used = frame
    before = len(each.shown)
    for row in section.rows[before:]:
        text = section.render(row)
        if used + size(text) > most:
            break
        used += size(text)
        each.shown.append(text)
    if len(each.shown) == before and not (frame and not section.rows and used <= most):
        return 0
    each.is_shown = True
    return used
