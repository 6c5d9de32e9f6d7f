"""How a terminal report is laid out."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.reports.cells import Paint


@dataclass(frozen=True, slots=True)
class Layout:
    """rows: most lines per kind and action. width: of the terminal, in cells. command: the words that would
    apply this plan, empty where nothing can. now: when the plan was made. causes: whose doing each change is, where the
    plan has a base to tell it from. approved: the holds that go through with this apply."""

    rows: int
    width: int
    paint: Paint
    command: str
    now: str
    causes: bool = False
    approved: frozenset[str] = frozenset()
