"""What an undo says beside its changes: what it leaves alone and why, and what it cannot take back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl

from reconciler.config.models.secret import find_secret_references
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.operations.undo.documents import SkippedDocument
from reconciler.planning.undo.rows import SpareReason
from reconciler.store.read.records import RunRecord

#: things left alone that are named for each reason; the rest is counted
SHOWN_PER_REASON = 1000

#: what is said of a thing, and of many
SKIP_REASON_WORDS = {
    SpareReason.CHANGED_SINCE: ("was changed since by {who}", "were changed since by later runs or by another hand"),
    SpareReason.TAKEN_SINCE: (
        "would take a sourcedId, a username or a key that is somebody else's by now",
        "would take a sourcedId, a username or a key that is somebody else's by now",
    ),
    SpareReason.STILL_USED: ("is still needed by what later runs added", "are still needed by what later runs added"),
    SpareReason.REFERENCE_GONE: (
        "belongs to something that is not there any more",
        "belong to what is not there any more",
    ),
    SpareReason.OTHER_HALF: (
        "is of a merge, and the other account of it cannot be taken back",
        "are of merges of which the other account cannot be taken back",
    ),
    SpareReason.ERASED: ("was erased on request", "were erased on request"),
    SpareReason.NO_LONGER_KEPT: ("is no longer kept", "are no longer kept: their time of retention is over"),
}
#: Who was erased is named by nobody.
COUNT_ONLY_REASONS = (SpareReason.ERASED.value, SpareReason.NO_LONGER_KEPT.value)

Pseudonym = Callable[[Kind, str], str]


def describe_undone_run(run: RunRecord) -> Diagnostic:
    return build_info(
        "takes-back-run",
        f"takes back run {run.id} of {run.customer}, applied at {run.finished_at} by {run.actor}",
    )


def describe_skipped(
    skipped_rows: pl.DataFrame, documents: Iterable[SkippedDocument], lost_count: int, pseudonym: Pseudonym
) -> Iterator[Diagnostic]:
    """spared: `planning.undo.SPARED`. lost: rows whose before-image and trace are gone. pseudonym: of a sourcedId that
    no place in a file hides from a masked report."""
    for document in documents:
        yield build_warning(
            document.reason.value, _format_sentence(document.kind, document.key, document.reason, document.run)
        )
    for (reason,), rows in skipped_rows.group_by("why", maintain_order=True):
        why = SpareReason(str(reason))
        if reason not in COUNT_ONLY_REASONS:
            yield from (_describe_row(row, why, pseudonym) for row in rows.head(SHOWN_PER_REASON).iter_rows(named=True))
        number = rows.height + (lost_count if why is SpareReason.NO_LONGER_KEPT else 0)
        yield build_warning(
            reason,
            f"{number:,} {'row' if number == 1 else 'rows'} left alone{_format_runs(rows)}: "
            f"{_format_skip_reason(why, number)}",
        )
    if lost_count and SpareReason.NO_LONGER_KEPT.value not in skipped_rows["why"]:
        why = SpareReason.NO_LONGER_KEPT
        yield build_warning(
            why.value,
            f"{lost_count:,} {'row' if lost_count == 1 else 'rows'} left alone: {_format_skip_reason(why, lost_count)}",
        )


def _format_skip_reason(why: SpareReason, number: int) -> str:
    one, many = SKIP_REASON_WORDS[why]
    return f"it {one.format(who='a later run or another hand')}" if number == 1 else f"they {many}"


def _format_runs(rows: pl.DataFrame) -> str:
    """` (run 7: 3, run 8: 1, another hand: 2)`; nothing where no run is to blame."""
    known = rows.group_by("run").len().sort("run", nulls_last=True)
    if known["run"].drop_nulls().is_empty():
        return ""
    parts = [f"{f'run {run}' if run is not None else 'another hand'}: {number:,}" for run, number in known.iter_rows()]
    return f" ({', '.join(parts)})"


def _describe_row(row: Mapping[str, object], why: SpareReason, pseudonym: Pseudonym) -> Diagnostic:
    kind, key = Kind(str(row["kind"])), str(row["key"])
    line = row["line"]
    span = Span(str(row["file"]), line) if row["file"] and isinstance(line, int) and line > 0 else None
    shown = key if span is not None or kind not in (Kind.USER, Kind.ENROLLMENT) else pseudonym(kind, key)
    run = row["run"]
    return build_warning(why.value, _format_sentence(kind, shown, why, run if isinstance(run, int) else None), span)


def _format_sentence(kind: Kind, key: str, why: SpareReason, run: int | None) -> str:
    who = f"run {run}" if run is not None else "another hand"
    return f"{kind} {key} {SKIP_REASON_WORDS[why][0].format(who=who)}; it is left as it is"


def describe_moved_identities(number: int) -> Iterator[Diagnostic]:
    if number:
        what = "1 sourcedId" if number == 1 else f"{number:,} sourcedIds"
        yield build_info(
            "identity-kept",
            f"{what} that another hand had bound to a second account, and that the run gave back to their own rows, "
            "stay with these",
        )


def warn_about_sources(
    changes: tuple[Change, ...], document: Mapping[str, object], *, has_roster_changes: bool
) -> Iterator[Diagnostic]:
    """An undo changes the store, not what it is compared with. document: the customer's as it is to be."""
    if changes:
        yield build_warning(
            "files-say-otherwise",
            "the files still say what this takes back: the next plan would bring it again",
            hint="revert the change in git as well",
        )
        if any(change.kind is Kind.CUSTOMER for change in changes) and any(find_secret_references(document)):
            yield build_info(
                "secrets-stay",
                "secrets stay as they are: settings go back, the values of secrets do not",
                hint="if a secret was changed by mistake, set it again and apply",
            )
    if has_roster_changes:
        yield build_warning(
            "roster-says-otherwise",
            "the roster still says what this takes back: the next one would bring it again",
            hint="correct it at its source before the next roster is applied",
        )
