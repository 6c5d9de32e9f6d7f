"""How a plan departs from the one that was reviewed, thing by thing, for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import polars as pl

from reconciler.model.change import FieldChange
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE
from reconciler.reports.plan.people import Mask, People, View
from reconciler.reports.plan.terminal import clean

#: by customer, as `planning.expected.Departure` has them
Effects: TypeAlias = Mapping[str, pl.DataFrame]

NOT_REVIEWED = "was not reviewed"
OTHERWISE = "is not what was reviewed"
RELEASED = "was to wait for approval"
GONE = "was reviewed, and is no longer there"

_THING = ["kind", "action", "key", "path"]


def render(more: Effects, released: Effects, fewer: Effects, people: People, mask: Mask, rows: int) -> list[str]:
    """Lines by customer: what is done besides or otherwise, then what is not done any more. rows: at most so many of
    each; the rest is counted."""
    lines = []
    for customer in sorted({*more, *released, *fewer}):
        view = View(people, mask, customer)
        added, gone = more.get(customer), fewer.get(customer)
        both = (
            added.join(gone, on=_THING, how="semi", nulls_equal=True)
            if added is not None and gone is not None
            else None
        )
        lines.append("catalogue" if customer == CATALOGUE else customer)
        lines += _listed(_but(added, both), "+", NOT_REVIEWED, view, rows)
        lines += _listed(released.get(customer), "+", RELEASED, view, rows)
        lines += _listed(both, "~", OTHERWISE, view, rows)
        lines += _listed(_but(gone, both), "-", GONE, view, rows)
    return lines


def _but(effects: pl.DataFrame | None, others: pl.DataFrame | None) -> pl.DataFrame | None:
    if effects is None or others is None:
        return effects
    return effects.join(others, on=_THING, how="anti", nulls_equal=True, maintain_order="left")


def _listed(effects: pl.DataFrame | None, mark: str, words: str, view: View, rows: int) -> Iterator[str]:
    if effects is None or effects.is_empty():
        return
    for row in effects.head(rows).iter_rows(named=True):
        kind = Kind(row["kind"])
        path = view.field(FieldChange(row["path"], None, None)).path if row["path"] else ""
        thing = " ".join(filter(None, (row["action"], kind.value, view.key(kind, row["key"]), path)))
        yield f"  {mark} {clean(thing)} {words}"
    if effects.height > rows:
        yield f"  {mark} … {effects.height - rows:,} more of these"
