"""What differs between the documents in the files and those that were applied, value by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Change, Create, Delete, FieldChange, Restore, Update
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.documents.renames import DocumentRenames, StoredDocument, find_renames, list_former_ids

if TYPE_CHECKING:
    from deepdiff.model import DiffLevel

#: personal values of an administrator; their path holds the username, which is personal too
_PERSONAL_PREFIX = "administrators."


@dataclass(frozen=True, slots=True)
class WantedDocument:
    """A document in the files: `origins` by dotted path, `span` of the document itself."""

    kind: Kind
    id: str
    label: str
    document: Mapping[str, object]
    origins: Mapping[str, Span]
    span: Span


@dataclass(frozen=True, slots=True)
class AppliedDocument:
    """A document as the store has it, under its id there. drifted: it is not what the last run wrote. impact: what goes
    with it. written: what that run wrote, where it is known; else all of a drifted document counts as another
    hand's."""

    kind: Kind
    id: str
    label: str
    document: Mapping[str, object]
    span: Span | None
    tombstoned: bool
    drifted: bool
    impact: Mapping[str, object]
    last_written: Mapping[str, object] | None = None


DocumentKey = tuple[Kind, str]
DocumentT = TypeVar("DocumentT")
WantedDocuments = Mapping[tuple[Kind, str], WantedDocument]
AppliedDocuments = Mapping[tuple[Kind, str], AppliedDocument]


def compare_documents(
    wanted: WantedDocuments, applied: AppliedDocuments, changed_secrets: Mapping[str, str] | None = None
) -> tuple[Change, ...]:
    """Changes in the order of kind and id, unheld. applied: by the ids of the files: what has another id in the store
    is renamed.

    changed_secrets: dotted path in the customer's document -> what a report says of it (never a value), for
    secrets whose reference is the same and whose value is not.
    """
    secrets = changed_secrets or {}
    order = list(Kind)
    changes = []
    for kind, name in sorted({*wanted, *applied}, key=lambda each: (order.index(each[0]), each[1])):
        change = _compare_document(
            wanted.get((kind, name)), applied.get((kind, name)), secrets if kind is Kind.CUSTOMER else {}
        )
        if change is not None:
            changes.append(change)
    return tuple(changes)


def _compare_document(
    wanted: WantedDocument | None, applied: AppliedDocument | None, secrets: Mapping[str, str]
) -> Change | None:
    if wanted is None:
        if applied is None or applied.tombstoned:
            return None
        return Delete(
            kind=applied.kind,
            key=applied.id,
            label=applied.label,
            reason=Reason.REMOVED_FROM_GIT,
            origin=applied.span,
            impact=applied.impact,
        )
    if applied is None:
        return Create(kind=wanted.kind, key=wanted.id, label=wanted.label, reason=Reason.NEW, origin=wanted.span)
    former = applied.id if applied.id != wanted.id else None
    fields = diff_document(applied.document, wanted.document, wanted.id, former) + tuple(
        FieldChange(path, "(as applied)", note) for path, note in sorted(secrets.items())
    )
    if applied.tombstoned:
        return Restore(
            kind=wanted.kind,
            key=wanted.id,
            label=wanted.label,
            reason=Reason.RETURNED,
            origin=wanted.span,
            fields=fields,
            former_key=former,
        )
    if not fields:
        return None
    fields = _mark_drift(fields, applied)
    drifted = [field.cause is ChangeCause.DRIFT for field in fields]
    return Update(
        kind=wanted.kind,
        key=wanted.id,
        label=wanted.label,
        reason=Reason.RENAMED if former else Reason.DRIFT if all(drifted) else Reason.FIELD_CHANGED,
        cause=ChangeCause.DRIFT if any(drifted) else None,
        origin=_find_origin(wanted, fields),
        fields=fields,
        former_key=former,
    )


def find_document_renames(wanted: WantedDocuments, applied: AppliedDocuments, kind: Kind) -> DocumentRenames:
    """Of one kind; both by the ids that they have."""
    return find_renames(
        {name: list_former_ids(each.document) for (one, name), each in wanted.items() if one is kind},
        {
            name: StoredDocument(list_former_ids(each.document), each.tombstoned)
            for (one, name), each in applied.items()
            if one is kind
        },
    )


def map_to_new_ids(
    applied: Mapping[DocumentKey, DocumentT], former: Mapping[DocumentKey, DocumentKey]
) -> dict[DocumentKey, DocumentT]:
    """`applied` by the ids of the files. former: by such a key, the one that it has."""
    left = {key: each for key, each in applied.items() if key not in former.values()}
    return left | {new: applied[old] for new, old in former.items()}


def _mark_drift(fields: tuple[FieldChange, ...], applied: AppliedDocument) -> tuple[FieldChange, ...]:
    """`fields`, those marked that are not what the last run wrote."""
    if not applied.drifted:
        return fields
    written = (
        None if applied.last_written is None else collect_paths(diff_fields(applied.last_written, applied.document))
    )
    return tuple(
        replace(field, cause=ChangeCause.DRIFT)
        if written is None or is_overlapping_path(field.path, written)
        else field
        for field in fields
    )


def collect_paths(fields: Iterable[FieldChange]) -> frozenset[str]:
    return frozenset(field.path for field in fields)


def is_overlapping_path(path: str, paths: frozenset[str]) -> bool:
    """Whether a dotted path is one of the others, or lies above or below one."""
    if path in paths:
        return True
    return any(path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in paths)


def _find_origin(wanted: WantedDocument, fields: tuple[FieldChange, ...]) -> Span:
    """Where the first changed value stands, or the nearest thing above it."""
    for field in fields:
        path = field.path
        while path:
            if path in wanted.origins:
                return wanted.origins[path]
            path = path.rpartition(".")[0]
    return wanted.span


def diff_document(
    before: Mapping[str, object], after: Mapping[str, object], key: str, former: str | None
) -> tuple[FieldChange, ...]:
    """`field_changes`; of a renamed document its id first, which also tells what `previously` says of that. former: its
    id before, None where it has the same."""
    fields = diff_fields(before, after)
    if former is None:
        return fields
    told = set(list_former_ids(before)) ^ set(list_former_ids(after)) <= {former, key}
    known = {"id", "previously"} if told else {"id"}
    return (FieldChange("id", former, key), *(field for field in fields if field.path not in known))


def diff_fields(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[FieldChange, ...]:
    """By dotted path; a list counts as one value. Lists whose items have ids are mappings here already."""
    if before == after:
        return ()
    # Only for a document that differs: its import takes as long as a hundred comparisons.
    from deepdiff import DeepDiff

    found: dict[str, FieldChange] = {}
    # However little two mappings share, what differs is told key by key: who is new among people depends on it.
    tree = DeepDiff(dict(before), dict(after), view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    for levels in tree.values():
        for level in levels:
            path, old, new = _lift_out_of_lists(level)
            found[path] = FieldChange(path, old, new, personal=path.startswith(_PERSONAL_PREFIX))
    return tuple(found[path] for path in sorted(found))


def _lift_out_of_lists(level: DiffLevel) -> tuple[str, object, object]:
    """Path and values of a difference, lifted out of any list that it lies in."""
    steps = level.path(output_format="list")
    depth = next((place for place, step in enumerate(steps) if isinstance(step, int)), len(steps))
    current = level
    for _ in range(len(steps) - depth):
        current = current.up or current
    return (
        ".".join(str(step) for step in steps[:depth]),
        _convert_not_present(current.t1),
        _convert_not_present(current.t2),
    )


def _convert_not_present(value: object) -> object:
    return None if type(value).__name__ == "NotPresent" else value
