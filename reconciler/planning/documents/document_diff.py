"""Compares the documents in the files with those in the store, value by value."""

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

#: Begin the paths of people's values; the path of an administrator has the username, which is personal too.
_PERSONAL_PREFIXES = ("administrators.", "agreements.accepted_by")


@dataclass(frozen=True, slots=True)
class WantedDocument:
    """A document in the files."""

    kind: Kind
    id: str
    label: str
    document: Mapping[str, object]
    #: by dotted path of the value
    origins: Mapping[str, Span]
    span: Span


@dataclass(frozen=True, slots=True)
class AppliedDocument:
    """A document in the store, under its ID there."""

    kind: Kind
    id: str
    label: str
    document: Mapping[str, object]
    span: Span | None
    tombstoned: bool
    #: it differs from what the last run wrote
    drifted: bool
    #: counts of the data that goes with it
    impact: Mapping[str, object]
    #: the document as the last run wrote it; if None, every difference of a drifted document counts as drift
    last_written: Mapping[str, object] | None = None


DocumentKey = tuple[Kind, str]
DocumentT = TypeVar("DocumentT")
WantedDocuments = Mapping[tuple[Kind, str], WantedDocument]
AppliedDocuments = Mapping[tuple[Kind, str], AppliedDocument]


def compare_documents(
    wanted: WantedDocuments, applied: AppliedDocuments, changed_secrets: Mapping[str, str] | None = None
) -> tuple[Change, ...]:
    """Return the changes in the order of kind and ID, none held.

    `applied` is by the IDs in the files; a document with another ID in the store is renamed. `changed_secrets` has a
    text for reports (never a value) by dotted path in the customer's document, for secrets whose value changed under
    the same reference.
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


def find_document_renames(wanted: WantedDocuments, applied: AppliedDocuments, kind: Kind) -> DocumentRenames[str]:
    """Return the renames among documents of one kind, both given by their own IDs."""
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
    """Return `applied` by the IDs in the files; `former` has the stored key of each renamed document."""
    unrenamed = {key: each for key, each in applied.items() if key not in former.values()}
    return unrenamed | {new: applied[old] for new, old in former.items()}


def _mark_drift(fields: tuple[FieldChange, ...], applied: AppliedDocument) -> tuple[FieldChange, ...]:
    """Mark the fields that differ from what the last run wrote."""
    if not applied.drifted:
        return fields
    written = applied.last_written
    drifted = None if written is None else collect_paths(diff_fields(written, applied.document))
    return tuple(
        replace(field, cause=ChangeCause.DRIFT)
        if drifted is None or is_overlapping_path(field.path, drifted)
        else field
        for field in fields
    )


def collect_paths(fields: Iterable[FieldChange]) -> frozenset[str]:
    """Return the dotted paths of changed fields."""
    return frozenset(field.path for field in fields)


def is_overlapping_path(path: str, paths: frozenset[str]) -> bool:
    """Return whether a dotted path is one of the others, or lies above or below one."""
    if path in paths:
        return True
    return any(path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in paths)


def _find_origin(wanted: WantedDocument, fields: tuple[FieldChange, ...]) -> Span:
    spans = (find_nearest_span(field.path, wanted.origins) for field in fields)
    return next((span for span in spans if span is not None), wanted.span)


def find_nearest_span(path: str, origins: Mapping[str, Span]) -> Span | None:
    """Return the span of the value at a dotted path or of the nearest value above it, or None if neither is written."""
    while path:
        if path in origins:
            return origins[path]
        path = path.rpartition(".")[0]
    return None


def diff_document(
    before: Mapping[str, object], after: Mapping[str, object], key: str, former: str | None
) -> tuple[FieldChange, ...]:
    """Return the changed fields of a document, with the ID first if it is renamed.

    `former` is the ID before, None if it is the same. A change of `previously` that only records the rename is left
    out: the ID shows it.
    """
    fields = diff_fields(before, after)
    if former is None:
        return fields
    only_records_rename = set(list_former_ids(before)) ^ set(list_former_ids(after)) <= {former, key}
    hidden = {"id", "previously"} if only_records_rename else {"id"}
    return (FieldChange("id", former, key), *(field for field in fields if field.path not in hidden))


def diff_fields(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[FieldChange, ...]:
    """Return the changed fields, sorted by dotted path. A list counts as one value; lists whose items have IDs are
    mappings here already."""
    if before == after:
        return ()
    # Imported only for a document that differs: the import takes as long as a hundred comparisons.
    from deepdiff import DeepDiff

    fields: dict[str, FieldChange] = {}
    # A threshold of 0 compares mappings key by key even if they share little: new administrators depend on it.
    tree = DeepDiff(dict(before), dict(after), view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    for levels in tree.values():
        for level in levels:
            path, old, new = _lift_out_of_lists(level)
            fields[path] = FieldChange(path, old, new, personal=path.startswith(_PERSONAL_PREFIXES))
    return tuple(fields[path] for path in sorted(fields))


def _lift_out_of_lists(level: DiffLevel) -> tuple[str, object, object]:
    """Return the path and values of a difference; inside a list, those of the whole list."""
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
