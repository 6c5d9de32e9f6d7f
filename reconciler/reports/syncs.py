"""Report the outcome of each customer's sync, as text and as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId, Moment, RunId
from reconciler.model.plan import Hold
from reconciler.model.sync import SyncOutcome
from reconciler.reports.plan.json import Document, build_diagnostic_document, dump_json
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import format_count, format_moment

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class ChangeTotals:
    """Numbers of removed, added and otherwise changed rows."""

    removed: int = 0
    added: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One customer's sync. Times are ISO-8601 UTC."""

    #: customer's ID
    id: CustomerId
    #: None if it was not synced at all
    outcome: SyncOutcome | None
    #: whether the roster was the same as before, so that nothing was compared
    early: bool = False
    #: IDs of the runs
    runs: tuple[RunId, ...] = ()
    #: people changed by these runs
    people: ChangeTotals = ChangeTotals()
    #: all rows changed by these runs
    rows: ChangeTotals = ChangeTotals()
    hold: Hold | None = None
    #: command that shows the hold's plan; empty if no plan was saved
    show_command: str = ""
    #: command that approves the hold
    approve_command: str = ""
    #: start of the present outcome
    since: Moment | None = None
    #: None while its roster is fresh
    stale_since: Moment | None = None
    #: time of the next automatic sync; None without one
    next_at: Moment | None = None
    #: reasons in plain sentences
    sentences: tuple[str, ...] = ()
    #: number of warnings of its plan, which are not among the diagnostics
    warnings: int = 0
    #: number of quarantined rows of its roster
    quarantined: int = 0
    #: last date of a frozen season; None unless frozen
    until: str | None = None
    diagnostics: tuple[Diagnostic, ...] = field(default=())


def render_syncs_json(reports: Iterable[SyncReport]) -> str:
    """Return `{format_version, customers: [...]}` in the order given; `outcome` is `skipped` without a sync."""
    return dump_json({"format_version": FORMAT_VERSION, "customers": [_build_document(each) for each in reports]})


def render_sync_text(each: SyncReport) -> str:
    """Return the lines of one customer, without its diagnostics."""
    return "".join(f"{line}\n" for line in _format_lines(each))


def _format_lines(each: SyncReport) -> Iterator[str]:
    aside = f"; {format_count(each.quarantined, 'row', 'rows')} quarantined" if each.quarantined else ""
    yield f"{_format_outcome(each)}{aside}"
    yield from (f"    {clean_text(sentence)}" for sentence in each.sentences)
    if each.stale_since is not None:
        yield f"    No new roster since {format_moment(each.stale_since)}."
    if each.outcome is SyncOutcome.HELD:
        if each.show_command:
            yield f"    To review:   {clean_text(each.show_command)}"
        yield f"    To approve:  {clean_text(each.approve_command)}"


def _format_outcome(each: SyncReport) -> str:
    runs = f" ({'run' if len(each.runs) == 1 else 'runs'} {', '.join(map(str, each.runs))})" if each.runs else ""
    match each.outcome:
        case None:
            return f"{each.id}: not synced"
        case SyncOutcome.APPLIED:
            return f"{each.id}: applied{runs}: {_summarize_changes(each)}"
        case SyncOutcome.UNCHANGED:
            return f"{each.id}: nothing to change" + (" (same roster as before)" if each.early else "")
        case SyncOutcome.HELD if each.hold is not None:
            rest = f"everything else was applied{runs}: {_summarize_changes(each)}" if runs else "no other changes"
            waits = (
                f"{format_count(each.hold.people, 'person waits', 'people wait')}, {_format_change_count(each.hold)}"
            )
            return f"{each.id}: HELD {each.hold.id}: {waits}; {rest}"
        case SyncOutcome.FROZEN if each.hold is not None:
            waiting = format_count(each.hold.rows, "change is", "changes are")
            return f"{each.id}: frozen until {each.until}; {waiting} waiting, nothing was changed"
        case SyncOutcome.REFUSED:
            return f"{each.id}: refused; nothing was changed"
        case _:
            return f"{each.id}: {each.outcome}" + (f"; a part was applied{runs}" if runs else "; nothing was changed")


def _summarize_changes(each: SyncReport) -> str:
    people, rows = each.people, each.rows
    told = [
        (people.removed, f"{format_count(people.removed, 'person', 'people')} removed"),
        (people.added, f"{format_count(people.added, 'person', 'people')} added"),
        (people.changed, f"{format_count(people.changed, 'person', 'people')} changed"),
    ]
    others = sum((rows.removed, rows.added, rows.changed)) - sum((people.removed, people.added, people.changed))
    told.append((others, f"{format_count(others, 'other change', 'other changes')}"))
    return ", ".join(words for number, words in told if number) or "nothing else"


def _format_change_count(hold: Hold) -> str:
    return f"{format_count(hold.rows, 'change', 'changes')} in all"


def _build_document(each: SyncReport) -> Document:
    return {
        "id": each.id,
        "outcome": each.outcome.value if each.outcome else "skipped",
        "early": each.early,
        "runs": each.runs,
        "people": _build_counts(each.people, each.hold.people if each.hold else 0),
        "rows": _build_counts(each.rows, each.hold.rows if each.hold else 0),
        "hold": None
        if each.hold is None or each.outcome is not SyncOutcome.HELD
        else {
            "id": each.hold.id,
            "people": each.hold.people,
            "rows": each.hold.rows,
            "causes": each.hold.causes,
            "show": each.show_command or None,
            "approve": each.approve_command,
        },
        "since": each.since,
        "stale_since": each.stale_since,
        "next_at": each.next_at,
        "sentences": each.sentences,
        "warnings": each.warnings,
        "quarantined": each.quarantined,
        "diagnostics": [build_diagnostic_document(diagnostic) for diagnostic in each.diagnostics],
    }


def _build_counts(totals: ChangeTotals, held: int) -> dict[str, int]:
    return {"removed": totals.removed, "added": totals.added, "changed": totals.changed, "held": held}
