"""List the changes of a plan that its base in git does not explain, one line each. Masks people."""

from collections.abc import Iterable, Iterator

from reconciler.model.cause import ChangeCause
from reconciler.model.change import FieldChange
from reconciler.model.surprise import UnexplainedChange
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import reveal_values

_CAUSES = {ChangeCause.DRIFT: "changed manually", ChangeCause.PENDING: "merged earlier, not applied yet"}


def render_unexplained_changes(changes: Iterable[UnexplainedChange], mask: Mask) -> Iterator[str]:
    for each in changes:
        cause = f" ({_CAUSES[each.cause]})" if each.cause in _CAUSES else ""
        what = (
            _describe_value_change(each, CustomerView(PeopleVisibility.MASKED, mask, each.customer))
            if each.path
            else each.action.value
        )
        yield clean_text(f"{each.customer}: {each.kind} {each.key}: {what}{cause}")


def _describe_value_change(each: UnexplainedChange, view: CustomerView) -> str:
    path = each.path or ""
    shown = view.mask_field(FieldChange(path, each.live, each.wanted, each.personal))
    live, wanted = (_format_value(value) for value in reveal_values(shown.before, shown.after))
    if each.cause is not ChangeCause.PR:
        return f"{shown.path} is {live} in the store and would become {wanted}"
    base = _format_value(view.mask_field(FieldChange(path, each.in_base, None, each.personal)).before)
    return f"{shown.path} is {live} in the store and {base} in the base; it would become {wanted}"


def _format_value(value: object) -> str:
    return "not set" if value is None else str(value)
