"""What an undo says beside its changes: what it leaves alone and why, and what it cannot take back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl

from reconciler.config.secrets import secret_references
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Span, info, warning
from reconciler.model.kind import Kind
from reconciler.operations.undo.documents import SparedDocument
from reconciler.planning.undo.rows import Spared
from reconciler.store.read.records import RunRecord

#: things left alone that are named for each reason; the rest is counted
SHOWN_PER_REASON = 1000

#: what is said of a thing, and of many
WORDS = {
    Spared.CHANGED_SINCE: ("was changed since by {who}", "were changed since by later runs or by another hand"),
    Spared.TAKEN_SINCE: (
        "would take a sourcedId, a username or a key that is somebody else's by now",
        "would take a sourcedId, a username or a key that is somebody else's by now",
    ),
    Spared.STILL_USED: ("is still needed by what later runs added", "are still needed by what later runs added"),
    Spared.REFERENCE_GONE: ("belongs to something that is not there any more", "belong to what is not there any more"),
    Spared.OTHER_HALF: (
        "is of a merge, and the other account of it cannot be taken back",
        "are of merges of which the other account cannot be taken back",
    ),
    Spared.ERASED: ("was erased on request", "were erased on request"),
    Spared.NO_LONGER_KEPT: ("is no longer kept", "are no longer kept: their time of retention is over"),
}
#: Who was erased is named by nobody.
COUNTED_ONLY = (Spared.ERASED.value, Spared.NO_LONGER_KEPT.value)

Pseudonym = Callable[[Kind, str], str]


def opening(run: RunRecord) -> Diagnostic:
    return info(
        "takes-back-run",
        f"takes back run {run.id} of {run.customer}, applied at {run.finished_at} by {run.actor}",
    )


def left_alone(
    spared: pl.DataFrame, documents: Iterable[SparedDocument], lost: int, pseudonym: Pseudonym
) -> Iterator[Diagnostic]:
    """spared: `planning.undo.SPARED`. lost: rows whose before-image and trace are gone. pseudonym: of a sourcedId that
    no place in a file hides from a masked report."""
    for document in documents:
        yield warning(document.why.value, _sentence(document.kind, document.key, document.why, document.run))
    for (reason,), rows in spared.group_by("why", maintain_order=True):
        why = Spared(str(reason))
        if reason not in COUNTED_ONLY:
            yield from (_named(row, why, pseudonym) for row in rows.head(SHOWN_PER_REASON).iter_rows(named=True))
        number = rows.height + (lost if why is Spared.NO_LONGER_KEPT else 0)
        yield warning(
            reason, f"{number:,} {'row' if number == 1 else 'rows'} left alone{_by_run(rows)}: {_many(why, number)}"
        )
    if lost and Spared.NO_LONGER_KEPT.value not in spared["why"]:
        why = Spared.NO_LONGER_KEPT
        yield warning(why.value, f"{lost:,} {'row' if lost == 1 else 'rows'} left alone: {_many(why, lost)}")


def _many(why: Spared, number: int) -> str:
    one, many = WORDS[why]
    return f"it {one.format(who='a later run or another hand')}" if number == 1 else f"they {many}"


def _by_run(rows: pl.DataFrame) -> str:
    """` (run 7: 3, run 8: 1, another hand: 2)`; nothing where no run is to blame."""
    known = rows.group_by("run").len().sort("run", nulls_last=True)
    if known["run"].drop_nulls().is_empty():
        return ""
    parts = [f"{f'run {run}' if run is not None else 'another hand'}: {number:,}" for run, number in known.iter_rows()]
    return f" ({', '.join(parts)})"


def _named(row: Mapping[str, object], why: Spared, pseudonym: Pseudonym) -> Diagnostic:
    kind, key = Kind(str(row["kind"])), str(row["key"])
    line = row["line"]
    span = Span(str(row["file"]), line) if row["file"] and isinstance(line, int) and line > 0 else None
    shown = key if span is not None or kind not in (Kind.USER, Kind.ENROLLMENT) else pseudonym(kind, key)
    run = row["run"]
    return warning(why.value, _sentence(kind, shown, why, run if isinstance(run, int) else None), span)


def _sentence(kind: Kind, key: str, why: Spared, run: int | None) -> str:
    who = f"run {run}" if run is not None else "another hand"
    return f"{kind} {key} {WORDS[why][0].format(who=who)}; it is left as it is"


def moved(number: int) -> Iterator[Diagnostic]:
    if number:
        what = "1 sourcedId" if number == 1 else f"{number:,} sourcedIds"
        yield info(
            "identity-kept",
            f"{what} that another hand had bound to a second account, and that the run gave back to their own rows, "
            "stay with these",
        )


def what_sources_say(
    changes: tuple[Change, ...], document: Mapping[str, object], *, rows: bool
) -> Iterator[Diagnostic]:
    """An undo changes the store, not what it is compared with. document: the customer's as it is to be."""
    if changes:
        yield warning(
            "files-say-otherwise",
            "the files still say what this takes back: the next plan would bring it again",
            hint="revert the change in git as well",
        )
        if any(change.kind is Kind.CUSTOMER for change in changes) and any(secret_references(document)):
            yield info(
                "secrets-stay",
                "secrets stay as they are: settings go back, the values of secrets do not",
                hint="if a secret was changed by mistake, set it again and apply",
            )
    if rows:
        yield warning(
            "roster-says-otherwise",
            "the roster still says what this takes back: the next one would bring it again",
            hint="correct it at its source before the next roster is applied",
        )
