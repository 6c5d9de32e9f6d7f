"""Format the limits and diagnostics of one customer, which follow its changes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import CustomerPlan, LimitUse
from reconciler.reports.plan.terminal import TerminalLayout, clean_text, measure_widest, pad_to_width
from reconciler.reports.plan.wording import format_count

_COLUMN = 8


#: what each limit counts, in words
_LIMITS = {
    "users": "people to remove",
    "scope_narrowed": "people no longer selected",
    "classes": "classes to remove",
    "enrollments": "enrollments to remove",
    "rekeys": "people with a new ID",
    "updates": "username, email or school changes",
    "role_escalations": "new teachers or administrators",
}


def format_limit_lines(limits: Sequence[LimitUse], layout: TerminalLayout) -> list[str]:
    """Return the use of every limit; at most `rows` schools, those nearest to their limit first."""
    whole = [limit for limit in limits if limit.scope == "customer"]
    schools = sorted((limit for limit in limits if limit.scope != "customer"), key=get_limit_sort_key)
    used = [limit for limit in whole if limit.seen]
    losing = [limit for limit in schools if limit.seen]
    shown = [*used, *losing[: layout.rows]]
    names = [format_limit_name(limit) for limit in shown]
    seen = measure_widest([f"{limit.seen:,}" for limit in shown])
    column = measure_widest(names)
    lines = []
    for limit, name in zip(shown, names, strict=True):
        before = f", {limit.earlier:,} of them earlier" if limit.earlier else ""
        over = f"  {layout.paint.format_red('✗ exceeded')}" if limit.exceeded else ""
        lines.append(
            f"{pad_to_width(name, column)}  {limit.seen:>{seen},} of {limit.allowed:,} allowed, "
            f"{limit.of:,} active{before}{over}"
        )
    if more := len(losing) - len(losing[: layout.rows]):
        lines.append(format_count(more, "more school loses people", "more schools lose people"))
    if any(limit.planned for limit in limits):
        lines += _describe_unused_limits([limit for limit in whole if not limit.seen], len(schools) - len(losing))
    return _indent_under_title("limits", lines)


def get_limit_sort_key(limit: LimitUse) -> tuple[bool, float, str]:
    """Return a key that sorts exceeded limits first, then by the share that is used."""
    return (not limit.exceeded, -limit.seen / max(limit.allowed, 1), limit.scope)


def _describe_unused_limits(limits: Iterable[LimitUse], schools: int) -> list[str]:
    parts = [f"{_LIMITS[limit.name]} {limit.allowed:,}" for limit in limits]
    lines = [f"unused: {', '.join(parts)}"] if parts else []
    if schools:
        lines.append(format_count(schools, "more school loses nobody", "more schools lose nobody"))
    return lines


def format_limit_name(limit: LimitUse) -> str:
    """Return what a limit counts; for a school's limit, the school."""
    if limit.scope == "customer":
        return _LIMITS[limit.name]
    org = limit.scope.removeprefix("org:")
    return clean_text(f"{limit.label} ({org})" if limit.label and limit.label != org else org)


def format_remark_lines(customer: CustomerPlan, diagnostics: Sequence[Diagnostic], layout: TerminalLayout) -> list[str]:
    """Return the quarantined rows, then all other diagnostics."""
    quarantined = sum(counts.quarantined for counts in customer.counts.values())
    errors = [each for each in diagnostics if each.is_error]
    others = [each for each in diagnostics if not each.is_error]
    lines: list[str] = []
    if quarantined:
        records = "record it names stays" if quarantined == 1 else "records they name stay"
        what = f"{quarantined:,} quarantined; the {records} unchanged"
        lines += _indent_under_title("rows", [what, *format_diagnostic_lines(errors, layout)])
    elif errors:
        lines += _indent_under_title("errors", format_diagnostic_lines(errors, layout))
    lines += _indent_under_title("notes", format_diagnostic_lines(others, layout))
    return lines


def format_diagnostic_lines(diagnostics: Sequence[Diagnostic], layout: TerminalLayout) -> list[str]:
    """Return at most `rows` diagnostics, one per line, and the number of the rest.

    A hint that several in succession share is shown once, after the last of them."""
    lines = []
    shown = diagnostics[: layout.rows]
    for each, following in zip_longest(shown, shown[1:]):
        lines.append(clean_text(str(replace(each, hint=None))))
        if each.hint and (following is None or following.hint != each.hint):
            lines += [f"    {clean_text(text.strip())}" for text in each.hint.splitlines()]
    more = len(diagnostics) - layout.rows
    if more > 0:
        lines.append(f"… {more:,} more; to list all: --rows {len(diagnostics)} or --format json")
    return lines


def _indent_under_title(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{pad_to_width('' if place else title, _COLUMN)}{line}" for place, line in enumerate(lines)]
