"""What became of every customer that was synced, one line each, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import Hold
from reconciler.model.sync import SyncOutcome
from reconciler.reports.plan.json import Document, diagnostic_document, dumped
from reconciler.reports.plan.terminal import clean
from reconciler.reports.plan.wording import counted, moment

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many were removed, added and changed otherwise."""

    removed: int = 0
    added: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Synced:
    """One customer. outcome: None where it was not synced at all. early: nothing was new, and nothing was compared.
    runs: ids. people, rows: of these runs. hold: what waits, with the words that show (empty where no plan is kept) and
    approve it. since: when it began to stand so. stale_since: None while its roster is fresh. next_at: of the next
    fetch by itself. sentences: plain ones on why. warnings: of its plan, which are not among the diagnostics."""

    id: str
    outcome: SyncOutcome | None
    early: bool = False
    runs: tuple[int, ...] = ()
    people: Moved = Moved()
    rows: Moved = Moved()
    hold: Hold | None = None
    show: str = ""
    approve: str = ""
    since: str | None = None
    stale_since: str | None = None
    next_at: str | None = None
    sentences: tuple[str, ...] = ()
    warnings: int = 0
    until: str | None = None
    diagnostics: tuple[Diagnostic, ...] = field(default=())


def syncs_json(synced: Iterable[Synced]) -> str:
    """`{format_version, customers: [...]}`, in the order given; `outcome` is `skipped` for who was not synced."""
    return dumped({"format_version": FORMAT_VERSION, "customers": [_document(each) for each in synced]})


def syncs_text(each: Synced) -> str:
    """Lines of one customer; what is noticed beside is told elsewhere."""
    return "".join(f"{line}\n" for line in _lines(each))


def _lines(each: Synced) -> Iterator[str]:
    runs = f" ({'run' if len(each.runs) == 1 else 'runs'} {', '.join(map(str, each.runs))})" if each.runs else ""
    match each.outcome:
        case None:
            yield f"{each.id}: not synced"
        case SyncOutcome.APPLIED:
            yield f"{each.id}: applied{runs}: {_moved(each)}"
        case SyncOutcome.UNCHANGED:
            yield f"{each.id}: nothing to change" + (" (the same roster as before)" if each.early else "")
        case SyncOutcome.HELD if each.hold is not None:
            rest = f"everything else was applied{runs}: {_moved(each)}" if runs else "there was nothing else to apply"
            waits = f"{counted(each.hold.people, 'person waits', 'people wait')}, {_changes(each.hold)}"
            yield f"{each.id}: HELD {each.hold.id}: {waits}; {rest}"
        case SyncOutcome.FROZEN if each.hold is not None:
            yield f"{each.id}: frozen until {each.until}: {_changes(each.hold)} wait, nothing was changed"
        case SyncOutcome.REFUSED:
            yield f"{each.id}: refused: nothing was compared, nothing was changed"
        case _:
            yield f"{each.id}: {each.outcome}" + (f"; a part was applied{runs}" if runs else "; nothing was changed")
    yield from (f"    {clean(sentence)}" for sentence in each.sentences)
    if each.stale_since is not None:
        yield f"    No fresh roster since {moment(each.stale_since)}."
    if each.outcome is SyncOutcome.HELD:
        if each.show:
            yield f"    To look at it:     {clean(each.show)}"
        yield f"    If that is right:  {clean(each.approve)}"


def _moved(each: Synced) -> str:
    people, rows = each.people, each.rows
    told = [
        (people.removed, f"{counted(people.removed, 'person', 'people')} removed"),
        (people.added, f"{counted(people.added, 'person', 'people')} added"),
        (people.changed, f"{counted(people.changed, 'person', 'people')} changed"),
    ]
    others = sum((rows.removed, rows.added, rows.changed)) - sum((people.removed, people.added, people.changed))
    told.append((others, f"{counted(others, 'other change', 'other changes')}"))
    return ", ".join(words for number, words in told if number) or "nothing else"


def _changes(hold: Hold) -> str:
    return f"{counted(hold.rows, 'change', 'changes')} in all"


def _document(each: Synced) -> Document:
    return {
        "id": each.id,
        "outcome": each.outcome.value if each.outcome else "skipped",
        "early": each.early,
        "runs": each.runs,
        "people": _counts(each.people, each.hold.people if each.hold else 0),
        "rows": _counts(each.rows, each.hold.rows if each.hold else 0),
        "hold": None
        if each.hold is None or each.outcome is not SyncOutcome.HELD
        else {
            "id": each.hold.id,
            "people": each.hold.people,
            "rows": each.hold.rows,
            "causes": each.hold.causes,
            "show": each.show or None,
            "approve": each.approve,
        },
        "since": each.since,
        "stale_since": each.stale_since,
        "next_at": each.next_at,
        "sentences": each.sentences,
        "warnings": each.warnings,
        "diagnostics": [diagnostic_document(diagnostic) for diagnostic in each.diagnostics],
    }


def _counts(moved: Moved, held: int) -> dict[str, int]:
    return {"removed": moved.removed, "added": moved.added, "changed": moved.changed, "held": held}
