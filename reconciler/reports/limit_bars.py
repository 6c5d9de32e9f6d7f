"""Limits as bars: what is used, and a mark where the limit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.plan import LimitUse
from reconciler.reports.remarks import limit_name, nearness

WIDTH = 240
#: Room behind the longer of limit and use, so that the mark never stands at the edge.
_ROOM = 1.12


@dataclass(frozen=True, slots=True)
class Bar:
    """used: within the limit; over: beyond it, beginning at the mark. All in units of `WIDTH`."""

    name: str
    words: str
    exceeded: bool
    used: float
    over: float
    mark: float


def bars(limits: Sequence[LimitUse], most: int) -> tuple[list[Bar], int]:
    """The customer's own first, then the schools nearest to their limit; and how many used ones are left out."""
    used = [limit for limit in limits if limit.seen]
    whole = [limit for limit in used if limit.scope == "customer"]
    schools = sorted((limit for limit in used if limit.scope != "customer"), key=nearness)
    shown = [*whole, *schools[:most]]
    return [_bar(limit) for limit in shown], len(used) - len(shown)


def _bar(limit: LimitUse) -> Bar:
    scale = WIDTH / (max(limit.seen, limit.allowed) * _ROOM)
    before = f", {limit.earlier:,} of them before" if limit.earlier else ""
    return Bar(
        name=limit_name(limit),
        words=f"{limit.seen:,} of {limit.allowed:,} allowed, {limit.of:,} live{before}",
        exceeded=limit.exceeded,
        used=round(min(limit.seen, limit.allowed) * scale, 1),
        over=round(max(limit.seen - limit.allowed, 0) * scale, 1),
        mark=round(limit.allowed * scale, 1),
    )
