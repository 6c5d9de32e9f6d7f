"""Convert a change to the columns of a row, before a page escapes them."""

from dataclasses import dataclass
from typing import assert_never

from reconciler.model import change as changes
from reconciler.model.cause import ChangeCause
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import GitBase, OutsideBase
from reconciler.reports.plan.wording import (
    REASONS,
    describe_document_impact,
    describe_impact,
    describe_kept_properties,
    describe_manager,
    describe_match,
    format_kind_count,
    reveal_field,
)

ACTION_VERBS = {
    changes.Action.DELETE: "remove",
    changes.Action.SUSPEND: "suspend",
    changes.Action.CONCLUDE: "conclude",
    changes.Action.REKEY: "new ID for",
    changes.Action.RESTORE: "restore",
    changes.Action.RESUME: "reactivate",
    changes.Action.ADOPT: "link",
    changes.Action.MOVE: "move",
    changes.Action.UPDATE: "update",
    changes.Action.CREATE: "add",
}


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    #: customer as it is shown
    customer: str
    action: changes.Action
    kind: Kind
    verb: str
    key: str
    #: key before the change; empty if it is the same
    former: str
    #: empty if it equals the key
    label: str
    #: reason in words
    why: str
    #: parts that are removed or kept with it, in words
    notes: tuple[str, ...]
    #: file and line; empty if unknown
    place: str
    held: bool
    cause: ChangeCause | None
    fields: tuple[changes.FieldChange, ...]


def build_change_entry(customer: str, change: changes.Change) -> ChangeEntry:
    """Return the row of a change. customer: as it is shown."""
    notes: tuple[str, ...]
    former = ""
    match change:
        case changes.Delete(into=str(into)):
            notes = (f"into {into}", describe_impact(change.kind, change.impact))
        case changes.Delete() | changes.Suspend() | changes.Conclude():
            notes = (describe_impact(change.kind, change.impact),)
        case changes.Rekey():
            notes, former = (describe_match(change.same), describe_kept_properties(change.impact)), change.former_key
        case changes.Adopt():
            notes = (
                describe_match(change.same),
                describe_manager(change.manager),
                describe_kept_properties(change.impact),
            )
        case changes.Update() | changes.Restore():
            notes, former = (describe_document_impact(change.kind, change.impact),), change.former_key or ""
        case changes.Create() | changes.Resume() | changes.Move():
            notes = ()
        case _:
            assert_never(change)
    return ChangeEntry(
        customer=customer,
        action=changes.get_action(change),
        kind=change.kind,
        verb=ACTION_VERBS[changes.get_action(change)],
        key=change.key,
        former=former,
        label="" if change.label == change.key else change.label,
        why=REASONS[change.reason],
        notes=tuple(filter(None, notes)),
        place=format_origin(change.origin),
        held=change.held,
        cause=change.cause,
        # The column of keys shows the ID of a renamed document.
        fields=tuple(
            reveal_field(field) for field in change.fields if not changes.get_former_key(change) or field.path != "id"
        ),
    )


def format_origin(origin: Span | None) -> str:
    return str(Span(origin.file, origin.line)) if origin else ""


# Describe the base of a plan, and the customers outside it.


#: digits that identify a commit
COMMIT_DIGITS = 12


def format_short_commit(base: GitBase) -> str:
    """Return the first digits of the base's commit; empty if its reference is the commit itself."""
    return "" if base.ref == base.commit else base.commit[:COMMIT_DIGITS]


def describe_missing_commits(base: GitBase) -> str:
    """Return a sentence about commits of the base that the checkout lacks; empty if it lacks none."""
    if not base.missing_commits:
        return ""
    number = f"{base.missing_commits:,} newer commit{'' if base.missing_commits == 1 else 's'}"
    return f"The base has {number} that this checkout lacks; merge or rebase to plan with them."


def describe_outside_base(outside_base: OutsideBase) -> str:
    """Return `2 other customers are not applied yet, 1 drifted from git.`; empty if all others match git."""
    words = {
        "not applied yet": outside_base.pending,
        "drifted from git": outside_base.drifted,
        "skipped because their files are invalid": outside_base.failed,
    }
    parts = [(number, what) for what, number in words.items() if number]
    if not parts:
        return ""
    (number, what), *more = parts
    who = format_kind_count(number, Kind.CUSTOMER).replace(" ", " other ", 1)
    first = f"{who} {'is' if number == 1 else 'are'} {what}"
    return ", ".join([first, *(f"{each:,} {words}" for each, words in more)]) + "."
