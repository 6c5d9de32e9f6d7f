"""What a base in git does not explain of a plan, a line each; people are masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model.cause import Cause
from reconciler.model.change import FieldChange
from reconciler.model.surprise import Surprise
from reconciler.reports.plan.people import Mask, People, View
from reconciler.reports.plan.terminal import clean

_WHOSE = {Cause.DRIFT: "changed by hand", Cause.PENDING: "merged earlier, not applied yet"}


def render(found: Iterable[Surprise], mask: Mask) -> Iterator[str]:
    for each in found:
        whose = f" ({_WHOSE[each.cause]})" if each.cause in _WHOSE else ""
        what = _value_of(each, View(People.MASKED, mask, each.customer)) if each.path else each.action.value
        yield clean(f"{each.customer}: {each.kind} {each.key}: {what}{whose}")


def _value_of(each: Surprise, view: View) -> str:
    path = each.path or ""
    shown = view.field(FieldChange(path, each.live, each.wanted, each.personal))
    live, wanted = _said(shown.before), _said(shown.after)
    if each.cause is not Cause.PR:
        return f"{shown.path} is {live} in the store: it would become {wanted}"
    base = _said(view.field(FieldChange(path, each.in_base, None, each.personal)).before)
    return f"{shown.path} is {live} in the store, and {base} at the base: it would become {wanted}"


def _said(value: object) -> str:
    return "not set" if value is None else str(value)
