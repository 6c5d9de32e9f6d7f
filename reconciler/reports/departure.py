"""List how a plan differs from the reviewed one, change by change, for a terminal or a log."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import polars as pl

from reconciler.model.change import FieldChange
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.terminal import clean_text

#: effects by customer ID
EffectsByCustomer: TypeAlias = Mapping[CustomerId, pl.DataFrame]

NOT_REVIEWED = "was not reviewed"
OTHERWISE = "differs from what was reviewed"
RELEASED = "was waiting for approval"
GONE = "was reviewed but is no longer planned"

_THING = ["kind", "action", "key", "path"]


def render_plan_differences(
    more: EffectsByCustomer,
    released: EffectsByCustomer,
    fewer: EffectsByCustomer,
    people: PeopleVisibility,
    mask: Mask,
    rows: int,
) -> list[str]:
    """Return lines by customer: added and different changes first, then missing ones.

    rows: the most lines of each; the rest is counted."""
    lines = []
    for customer in sorted({*more, *released, *fewer}):
        view = CustomerView(people, mask, customer)
        added, gone = more.get(customer), fewer.get(customer)
        both = (
            added.join(gone, on=_THING, how="semi", nulls_equal=True)
            if added is not None and gone is not None
            else None
        )
        lines.append("catalog" if customer == CATALOG else customer)
        lines += _list_effects(_exclude_rows(added, both), "+", NOT_REVIEWED, view, rows)
        lines += _list_effects(released.get(customer), "+", RELEASED, view, rows)
        lines += _list_effects(both, "~", OTHERWISE, view, rows)
        lines += _list_effects(_exclude_rows(gone, both), "-", GONE, view, rows)
    return lines


def _exclude_rows(effects: pl.DataFrame | None, rows_to_exclude: pl.DataFrame | None) -> pl.DataFrame | None:
    if effects is None or rows_to_exclude is None:
        return effects
    return effects.join(rows_to_exclude, on=_THING, how="anti", nulls_equal=True, maintain_order="left")


def _list_effects(effects: pl.DataFrame | None, mark: str, words: str, view: CustomerView, rows: int) -> Iterator[str]:
    if effects is None or effects.is_empty():
        return
    for row in effects.head(rows).iter_rows(named=True):
        kind = Kind(row["kind"])
        path = view.mask_field(FieldChange(row["path"], None, None)).path if row["path"] else ""
        thing = " ".join(filter(None, (row["action"], kind.value, view.mask_key(kind, row["key"]), path)))
        yield f"  {mark} {clean_text(thing)} {words}"
    if effects.height > rows:
        yield f"  {mark} … {effects.height - rows:,} more of these"
