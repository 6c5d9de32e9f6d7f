"""Describe what an undo skips and why, and what it cannot undo."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl

from reconciler.config.models import find_secret_references
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.operations.undo.documents import SkippedDocument
from reconciler.planning.undo import SpareReason
from reconciler.store.read import AdministratorAccount, RunRecord, count_invitations

#: skipped rows that are named for each reason; the others are counted
SHOWN_PER_REASON = 1000

#: words for one skipped thing and for several
SKIP_REASON_WORDS = {
    SpareReason.CHANGED_SINCE: ("was changed since {who}", "were changed since by later runs or outside reconciler"),
    SpareReason.TAKEN_SINCE: (
        "would need a sourcedId, username or key that now belongs to someone else",
        "would need sourcedIds, usernames or keys that now belong to someone else",
    ),
    SpareReason.STILL_USED: (
        "is still used by rows that later runs added",
        "are still used by rows that later runs added",
    ),
    SpareReason.REFERENCE_GONE: (
        "belongs to something that no longer exists",
        "belong to something that no longer exists",
    ),
    SpareReason.OTHER_HALF: (
        "is part of a merge whose other account cannot be undone",
        "are part of merges whose other account cannot be undone",
    ),
    SpareReason.ERASED: ("was erased on request", "were erased on request"),
    SpareReason.NO_LONGER_KEPT: ("is past its retention period", "are past their retention period"),
}
#: reasons whose rows are not named: people were erased or purged
COUNT_ONLY_REASONS = (SpareReason.ERASED.value, SpareReason.NO_LONGER_KEPT.value)

Pseudonym = Callable[[Kind, str], str]


def describe_undone_run(run: RunRecord) -> Diagnostic:
    return build_info(
        "takes-back-run",
        f"undoes run {run.id} of {run.customer}, applied at {run.finished_at} by {run.actor}",
    )


def describe_skipped(
    skipped_rows: pl.DataFrame, documents: Iterable[SkippedDocument], lost_count: int, pseudonym: Pseudonym
) -> Iterator[Diagnostic]:
    """Yield a warning for each skipped document and row, and for the number of rows with each reason.

    skipped_rows: in `planning.undo.SPARED_SCHEMA`. lost_count: rows without any history. pseudonym: replaces a
    sourcedId without a place in a file, because masked reports show messages."""
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
            f"{number:,} {'row' if number == 1 else 'rows'} skipped{_format_runs(rows)}: "
            f"{_format_skip_reason(why, number)}",
        )
    if lost_count and SpareReason.NO_LONGER_KEPT.value not in skipped_rows["why"]:
        why = SpareReason.NO_LONGER_KEPT
        yield build_warning(
            why.value,
            f"{lost_count:,} {'row' if lost_count == 1 else 'rows'} skipped: {_format_skip_reason(why, lost_count)}",
        )


def _format_skip_reason(why: SpareReason, number: int) -> str:
    one, many = SKIP_REASON_WORDS[why]
    return f"it {one.format(who='by a later run or outside reconciler')}" if number == 1 else f"they {many}"


def _format_runs(rows: pl.DataFrame) -> str:
    """Return ` (run 7: 3, run 8: 1, outside reconciler: 2)`, or an empty string if no run changed a row."""
    known = rows.group_by("run").len().sort("run", nulls_last=True)
    if known["run"].drop_nulls().is_empty():
        return ""
    counts = [
        f"{f'run {run}' if run is not None else 'outside reconciler'}: {number:,}" for run, number in known.iter_rows()
    ]
    return f" ({', '.join(counts)})"


def _describe_row(row: Mapping[str, object], why: SpareReason, pseudonym: Pseudonym) -> Diagnostic:
    kind, key = Kind(str(row["kind"])), str(row["key"])
    line = row["line"]
    span = Span(str(row["file"]), line) if row["file"] and isinstance(line, int) and line > 0 else None
    shown = key if span is not None or kind not in (Kind.USER, Kind.ENROLLMENT) else pseudonym(kind, key)
    run = row["run"]
    return build_warning(why.value, _format_sentence(kind, shown, why, run if isinstance(run, int) else None), span)


def _format_sentence(kind: Kind, key: str, why: SpareReason, run: int | None) -> str:
    who = f"by run {run}" if run is not None else "outside reconciler"
    return f"{kind} {key} {SKIP_REASON_WORDS[why][0].format(who=who)}; skipped"


def describe_invitations(
    changes: Iterable[Change], document: Mapping[str, object], accounts: Mapping[str, AdministratorAccount]
) -> Iterator[Diagnostic]:
    """Yield how many administrators come back, and how many of them get an invitation link.

    document: the customer's after the undo. accounts: of its administrators in the store, by username."""
    administrators = document.get("administrators")
    if not isinstance(administrators, Mapping) or not any(change.kind is Kind.CUSTOMER for change in changes):
        return
    returning = sum(username not in accounts or accounts[username].tombstoned for username in administrators)
    if not returning:
        return
    who = "1 administrator" if returning == 1 else f"{returning} administrators"
    number = count_invitations(administrators, accounts)
    if number:
        links = "1 invitation link" if number == 1 else f"{number} invitation links"
        yield build_info(
            "invitations",
            f"undo brings back {who} and makes {links} for those without a password",
            hint="Run undo on a terminal, or in a folder that you can write to and that is kept.",
        )
    else:
        passwords = "the password stays" if returning == 1 else "the passwords stay"
        yield build_info("invitations", f"undo brings back {who}; {passwords}, so that no invitation link is made")


def describe_moved_identities(number: int) -> Iterator[Diagnostic]:
    if number:
        what = "1 sourcedId" if number == 1 else f"{number:,} sourcedIds"
        yield build_info(
            "identity-kept",
            f"{what} that were linked to a second account outside reconciler, and that the run returned to their own "
            "rows, stay there",
        )


def warn_about_sources(
    changes: tuple[Change, ...], document: Mapping[str, object], *, has_roster_changes: bool
) -> Iterator[Diagnostic]:
    """Yield a warning if the files or the roster still contain the undone change.

    document: the customer's after the undo."""
    if changes:
        yield build_warning(
            "files-say-otherwise",
            "the YAML files still contain the change you are undoing; the next plan would make it again",
            hint="Revert the change in git too.",
        )
        if any(change.kind is Kind.CUSTOMER for change in changes) and any(find_secret_references(document)):
            yield build_info(
                "secrets-stay",
                "settings are restored, but secrets keep their current values",
                hint="If a secret was changed by mistake, set it again and apply.",
            )
    if has_roster_changes:
        yield build_warning(
            "roster-says-otherwise",
            "the roster still contains the change you are undoing; the next roster would make it again",
            hint="Correct it at its source before the next roster is applied.",
        )
