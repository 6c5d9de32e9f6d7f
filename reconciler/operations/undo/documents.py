"""Plan the undo of a run's document changes, for a customer or the catalog."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import SecretStr

from reconciler.clock import get_current_moment
from reconciler.config.models import find_secret_references
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Span, build_error
from reconciler.model.ids import CustomerId, RunId
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CustomerPlan, PlanPrecondition
from reconciler.model.reason import Reason
from reconciler.model.settings import compute_settings_digest
from reconciler.operations.plan.documents import (
    CATALOG_NAME,
    CustomerDocuments,
    format_document_label,
    read_applied_documents,
)
from reconciler.operations.plan.secrets import ADMINISTRATORS
from reconciler.operations.workspace import Workspace
from reconciler.planning.documents import (
    AppliedDocument,
    AppliedDocuments,
    WantedDocument,
    compare_documents,
    map_to_new_ids,
)
from reconciler.planning.undo import SpareReason
from reconciler.store.read import CustomerRecord, Reader, find_other_key_owner, iter_platforms, read_touched_rows
from reconciler.store.write import find_former_id

Key = tuple[Kind, str]
Wanted = dict[Key, WantedDocument]


@dataclass(frozen=True, slots=True)
class SkippedDocument:
    """A document that the undo does not change."""

    kind: Kind
    key: str
    reason: SpareReason
    #: the later run that changed it; None for a change outside reconciler
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class DocumentUndo:
    documents: CustomerDocuments
    changes: tuple[Change, ...]
    skipped: tuple[SkippedDocument, ...]


def plan_document_undo(
    reader: Reader,
    slug: CustomerId,
    record: CustomerRecord | None,
    run: RunId,
    *,
    people_count: int,
    remaining_count: int,
) -> DocumentUndo:
    """Return the document changes that reverse a run.

    record: None for the catalog. people_count: active accounts that this undo does not delete. remaining_count: those
    of them that a roster manages; while there are any, a customer that the run created stays."""
    applied = _read_applied(reader, slug, record, people_count)
    touched = list(_list_documents_of_run(reader, slug, record, run, applied))
    skipped = []
    drifted = _has_drifted(reader, record)
    restored: list[_DocumentBeforeRun] = []
    for each in touched:
        why = each.find_skip_reason(drifted, applied[each.key])
        if why is not None:
            skipped.append(SkippedDocument(*each.key, why, each.later_run))
        else:
            restored.append(each)
    taken = _find_taken_ids(reader, restored, applied)
    skipped += [SkippedDocument(*each.key, SpareReason.TAKEN_SINCE) for each in taken]
    restored = [each for each in restored if each not in taken]
    wanted = _restore_documents(applied, restored)
    renamed = {each.earlier_key: each.key for each in restored if each.earlier_key != each.key}
    slug = next((CustomerId(name) for kind, name in renamed if kind is Kind.CUSTOMER), slug)
    conflict = _find_conflict(
        reader, record, wanted, slug, remaining_count, was_created=any(each.key[0] is Kind.CUSTOMER for each in touched)
    )
    if conflict is not None:
        # Documents of one run belong together: a part of them might not fit those of later runs.
        wanted = {
            key: _build_current_document(document) for key, document in applied.items() if not document.tombstoned
        }
        known = {(each.kind, each.key) for each in skipped}
        skipped += [SkippedDocument(*each.key, conflict) for each in touched if each.key not in known]
        slug, renamed = record.slug if record else slug, {}
    digest = compute_settings_digest({key: each.document for key, each in wanted.items()})
    declared = digest if wanted or record is None else None
    name = CATALOG_NAME if record is None else str(record.document.get("name") or record.name)
    stored = map_to_new_ids(applied, renamed)
    documents = CustomerDocuments(slug, name, wanted, stored, _build_seen(reader, record, declared))
    changes = tuple(
        replace(change, reason=Reason.UNDONE, origin=None, cause=None) for change in compare_documents(wanted, stored)
    )
    return DocumentUndo(documents, changes, tuple(skipped))


@dataclass(frozen=True, slots=True)
class _DocumentBeforeRun:
    #: with its current id
    key: Key
    #: None if it did not exist or was deleted
    earlier: WantedDocument | None
    #: the newest later run that changed it
    later_run: RunId | None

    @property
    def earlier_key(self) -> Key:
        return (self.earlier.kind, self.earlier.id) if self.earlier else self.key

    def find_skip_reason(self, has_drifted: bool, now: AppliedDocument) -> SpareReason | None:
        current = None if now.tombstoned else now.document
        if (self.earlier.document if self.earlier else None) == current:
            return None
        # The store knows that a document was changed outside reconciler, but not which.
        return SpareReason.CHANGED_SINCE if self.later_run is not None or has_drifted else None


def _list_documents_of_run(
    reader: Reader, slug: CustomerId, record: CustomerRecord | None, run: RunId, applied: AppliedDocuments
) -> Iterator[_DocumentBeforeRun]:
    owner = None if record is None else slug
    names = {(each.kind, each.row_id): each.slug for each in reader.read_documents(owner)}
    if record is not None:
        names[Kind.CUSTOMER, record.id] = slug
    for kind in DECLARED_KINDS if record is not None else (Kind.LESSON,):
        for row in read_touched_rows(reader.connection, kind, record.id if record else None, run).iter_rows(named=True):
            key = kind, names.get((kind, row["id"]), "")
            if key in applied and not row["undone"]:
                was = (
                    None
                    if row["made"] or row["was"]["tombstoned_at"] is not None
                    else _build_earlier_document(kind, row["was"])
                )
                yield _DocumentBeforeRun(key, was, row["later"])


def _restore_documents(applied: AppliedDocuments, restored: Iterable[_DocumentBeforeRun]) -> Wanted:
    wanted = {key: _build_current_document(document) for key, document in applied.items() if not document.tombstoned}
    for each in restored:
        wanted.pop(each.key, None)
    return wanted | {each.earlier_key: each.earlier for each in restored if each.earlier is not None}


def _find_taken_ids(
    reader: Reader, restored: Sequence[_DocumentBeforeRun], applied: AppliedDocuments
) -> list[_DocumentBeforeRun]:
    """Return the renamed documents whose earlier id now belongs to another document, which keeps it."""
    customers = reader.read_customers()
    taken: list[_DocumentBeforeRun] = []
    while True:
        leaving = {each.key for each in restored if each not in taken and each.earlier_key != each.key}
        more = [
            each
            for each in restored
            if each not in taken
            and each.earlier_key != each.key
            and each.earlier_key not in leaving
            and (
                each.earlier_key in applied
                or (each.earlier_key[0] is Kind.CUSTOMER and each.earlier_key[1] in customers)
            )
        ]
        if not more:
            return taken
        taken += more


def _build_earlier_document(kind: Kind, image: Mapping[str, Any]) -> WantedDocument:
    name = image["slug"]
    document = orjson.loads(image["document"])
    span = Span(image["origin_file"] or image["span_file"] or "", image["origin_line"] or image["span_line"] or 0)
    return WantedDocument(kind, name, format_document_label(kind, name, document), document, {}, span)


def _build_current_document(document: AppliedDocument) -> WantedDocument:
    return WantedDocument(document.kind, document.id, document.label, document.document, {}, Span(""))


def _read_applied(reader: Reader, slug: CustomerId, record: CustomerRecord | None, people: int) -> AppliedDocuments:
    if record is None:
        return read_applied_documents(reader, None, has_drifted=False)
    customer = AppliedDocument(
        Kind.CUSTOMER, slug, record.name, record.document, None, record.tombstoned, False, {"people": people}
    )
    return {(Kind.CUSTOMER, slug): customer, **read_applied_documents(reader, slug, has_drifted=False)}


def _has_drifted(reader: Reader, record: CustomerRecord | None) -> bool:
    """Return True for a change outside reconciler, which deletes the digest; a removal deletes it too."""
    if record is None:
        return reader.read_catalog().settings_digest is None
    return record.settings_digest is None and not record.tombstoned


def _build_seen(reader: Reader, record: CustomerRecord | None, declared: str | None) -> PlanPrecondition:
    if record is not None:
        return PlanPrecondition(record.version, record.settings_digest, declared)
    catalog = reader.read_catalog()
    return PlanPrecondition(catalog.version if catalog.version != (0, 0) else None, catalog.settings_digest, declared)


def _find_conflict(
    reader: Reader,
    record: CustomerRecord | None,
    wanted: Wanted,
    slug: CustomerId,
    remaining: int,
    *,
    was_created: bool,
) -> SpareReason | None:
    """Return the reason why the wanted documents conflict with each other or with another customer's, or None.

    slug: the customer's id after the undo."""
    if record is None:
        return None
    customer = wanted.get((Kind.CUSTOMER, slug))
    if customer is None:
        return SpareReason.STILL_USED if was_created and (wanted or remaining) else None
    platforms = [platform for _, platform in iter_platforms(customer.document)]
    communities = {key for kind, key in wanted if kind is Kind.COMMUNITY}
    if any(each.get("community", slug) not in communities for each in platforms if each.get("community")):
        return SpareReason.REFERENCE_GONE
    now = get_current_moment()
    taken = (find_other_key_owner(reader.connection, record.id, each["consumer_key"], now) for each in platforms)
    return SpareReason.TAKEN_SINCE if any(taken) else None


def collect_undo_secrets(
    workspace: Workspace, customer: CustomerPlan
) -> tuple[Mapping[str, SecretStr], tuple[Diagnostic, ...]]:
    """Return the secrets that an undo needs, by path, and an error for each that is not set.

    Secrets that the store has stay as they are. If the customer gets an earlier id back, those that are set are
    written again, because their HMACs depend on the id."""
    settings: Mapping[str, Any] = customer.settings or {}
    if "customer" not in settings or not any(change.kind is Kind.CUSTOMER for change in customer.document_changes):
        return {}, ()
    with workspace.store.open_reader() as reader:
        former = find_former_id(customer.document_changes)
        record = reader.read_customers().get(former or customer.id)
        stored = reader.read_secrets(record.id) if record else {}
    values: dict[str, SecretStr] = {}
    missing = []
    for path, name in find_secret_references(settings["customer"]):
        stays = path in stored and stored[path].reference == name
        if stays and former is None:
            continue
        value = workspace.secrets.get_secret(customer.id, name)
        if value is not None:
            values[path] = value
        elif not stays and not path.startswith(ADMINISTRATORS):
            missing.append(
                build_error(
                    "secret-not-set",
                    f"secret {name} of {customer.id} is restored with its setting, but the store no longer has its "
                    f"value; nothing was changed for {customer.id}",
                    hint=f"Set {workspace.secrets.describe_place(customer.id, name)}.",
                )
            )
    return values, tuple(missing)
