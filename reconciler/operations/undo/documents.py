"""The documents of a customer or of the catalogue as they were before a run: what an undo wants instead of what is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import SecretStr

from reconciler.config.secrets import secret_references
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Span, error
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CustomerPlan, Seen
from reconciler.model.reason import Reason
from reconciler.model.settings import settings_digest
from reconciler.operations.plan.documents import CATALOGUE_NAME, Documents, applied_documents, label_of
from reconciler.operations.plan.secrets import ADMINISTRATORS
from reconciler.operations.workspace import Workspace
from reconciler.planning.documents.document_diff import (
    Applied,
    AppliedDocument,
    WantedDocument,
    compare_documents,
    under_new_ids,
)
from reconciler.planning.undo.rows import Spared
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.write.renames import former_id

Key = tuple[Kind, str]
Wanted = dict[Key, WantedDocument]


@dataclass(frozen=True, slots=True)
class SparedDocument:
    """A document that is left alone. run: the later one that changed it, None for another hand."""

    kind: Kind
    key: str
    why: Spared
    run: int | None = None


@dataclass(frozen=True, slots=True)
class UndoneDocuments:
    documents: Documents
    changes: tuple[Change, ...]
    spared: tuple[SparedDocument, ...]


def undone_documents(
    reader: Reader, slug: str, record: CustomerRecord | None, run: int, *, people: int, remaining: int
) -> UndoneDocuments:
    """record: None for the catalogue. people: live accounts that no row of this undo deletes. remaining: of those,
    the roster's: while there are any, a customer that the run made stays."""
    applied = _as_applied(reader, slug, record, people)
    touched = list(_touched(reader, slug, record, run, applied))
    spared = []
    drifted = _drifted(reader, record)
    back: list[_Touched] = []
    for each in touched:
        why = each.why_not(drifted, applied[each.key])
        if why is not None:
            spared.append(SparedDocument(*each.key, why, each.later))
        else:
            back.append(each)
    taken = _without_their_ids(reader, back, applied)
    spared += [SparedDocument(*each.key, Spared.TAKEN_SINCE) for each in taken]
    back = [each for each in back if each not in taken]
    wanted = _with_those_back(applied, back)
    renamed = {each.then: each.key for each in back if each.then != each.key}
    slug = next((name for kind, name in renamed if kind is Kind.CUSTOMER), slug)
    unfit = _unfit(reader, record, wanted, slug, remaining, made=any(each.key[0] is Kind.CUSTOMER for each in touched))
    if unfit is not None:
        # Documents of one run belong together: a part of them would not fit what later runs made.
        wanted = {key: _as_it_is(document) for key, document in applied.items() if not document.tombstoned}
        known = {(each.kind, each.key) for each in spared}
        spared += [SparedDocument(*each.key, unfit) for each in touched if each.key not in known]
        slug, renamed = record.slug if record else slug, {}
    digest = settings_digest({key: each.document for key, each in wanted.items()})
    declared = digest if wanted or record is None else None
    name = CATALOGUE_NAME if record is None else str(record.document.get("name") or record.name)
    stored = under_new_ids(applied, renamed)
    documents = Documents(slug, name, wanted, stored, _seen(reader, record, declared))
    changes = tuple(
        replace(change, reason=Reason.UNDONE, origin=None, cause=None) for change in compare_documents(wanted, stored)
    )
    return UndoneDocuments(documents, changes, tuple(spared))


@dataclass(frozen=True, slots=True)
class _Touched:
    """key: as it is called now. was: None where it was not there or deleted."""

    key: Key
    was: WantedDocument | None
    later: int | None

    @property
    def then(self) -> Key:
        """As it was called."""
        return (self.was.kind, self.was.id) if self.was else self.key

    def why_not(self, drifted: bool, now: AppliedDocument) -> Spared | None:
        there = None if now.tombstoned else now.document
        if (self.was.document if self.was else None) == there:
            return None
        # The store knows that another hand wrote to one of them, not to which.
        return Spared.CHANGED_SINCE if self.later is not None or drifted else None


def _touched(
    reader: Reader, slug: str, record: CustomerRecord | None, run: int, applied: Applied
) -> Iterator[_Touched]:
    owner = None if record is None else slug
    names = {(each.kind, each.row_id): each.slug for each in reader.declared(owner)}
    if record is not None:
        names[Kind.CUSTOMER, record.id] = slug
    for kind in DECLARED_KINDS if record is not None else (Kind.LESSON,):
        for row in reader.touched(kind, record.id if record else None, run).iter_rows(named=True):
            key = kind, names.get((kind, row["id"]), "")
            if key in applied and not row["taken_back"]:
                was = None if row["made"] or row["was"]["tombstoned_at"] is not None else _as_it_was(kind, row["was"])
                yield _Touched(key, was, row["later"])


def _with_those_back(applied: Applied, back: Iterable[_Touched]) -> Wanted:
    """What is live, and in place of these what they were."""
    wanted = {key: _as_it_is(document) for key, document in applied.items() if not document.tombstoned}
    for each in back:
        wanted.pop(each.key, None)
    return wanted | {each.then: each.was for each in back if each.was is not None}


def _without_their_ids(reader: Reader, back: Sequence[_Touched], applied: Applied) -> list[_Touched]:
    """Those that were called otherwise, and whose id is another's by now, which keeps it."""
    customers = reader.customers()
    found: list[_Touched] = []
    while True:
        leaving = {each.key for each in back if each not in found and each.then != each.key}
        more = [
            each
            for each in back
            if each not in found
            and each.then != each.key
            and each.then not in leaving
            and (each.then in applied or (each.then[0] is Kind.CUSTOMER and each.then[1] in customers))
        ]
        if not more:
            return found
        found += more


def _as_it_was(kind: Kind, image: Mapping[str, Any]) -> WantedDocument:
    name = image["slug"]
    document = orjson.loads(image["document"])
    span = Span(image["origin_file"] or image["span_file"] or "", image["origin_line"] or image["span_line"] or 0)
    return WantedDocument(kind, name, label_of(kind, name, document), document, {}, span)


def _as_it_is(document: AppliedDocument) -> WantedDocument:
    return WantedDocument(document.kind, document.id, document.label, document.document, {}, Span(""))


def _as_applied(reader: Reader, slug: str, record: CustomerRecord | None, people: int) -> Applied:
    if record is None:
        return applied_documents(reader, None, drifted=False)
    customer = AppliedDocument(
        Kind.CUSTOMER, slug, record.name, record.document, None, record.tombstoned, False, {"people": people}
    )
    return {(Kind.CUSTOMER, slug): customer, **applied_documents(reader, slug, drifted=False)}


def _drifted(reader: Reader, record: CustomerRecord | None) -> bool:
    """A customer that a run deleted has no digest either, and nobody wrote to it."""
    if record is None:
        return reader.catalogue().settings_digest is None
    return record.settings_digest is None and not record.tombstoned


def _seen(reader: Reader, record: CustomerRecord | None, declared: str | None) -> Seen:
    if record is not None:
        return Seen(record.version, record.settings_digest, declared)
    catalogue = reader.catalogue()
    return Seen(catalogue.version if catalogue.version != (0, 0) else None, catalogue.settings_digest, declared)


def _unfit(
    reader: Reader, record: CustomerRecord | None, wanted: Wanted, slug: str, remaining: int, *, made: bool
) -> Spared | None:
    """Why these documents cannot stand beside each other and beside other customers'. slug: as it is to be."""
    if record is None:
        return None
    customer = wanted.get((Kind.CUSTOMER, slug))
    if customer is None:
        return Spared.STILL_USED if made and (wanted or remaining) else None
    platforms = _platforms(customer.document)
    communities = {key for kind, key in wanted if kind is Kind.COMMUNITY}
    if any(each.get("community", slug) not in communities for each in platforms if each.get("community")):
        return Spared.REFERENCE_GONE
    keys = {each.get("consumer_key") for each in platforms} - {None}
    others = (other.document for other in reader.customers().values() if other.id != record.id and not other.tombstoned)
    taken = {each.get("consumer_key") for document in others for each in _platforms(document)}
    return Spared.TAKEN_SINCE if keys & taken else None


def _platforms(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    platforms = (document.get("lti") or {}).get("platforms") or {}
    return list(platforms.values()) if isinstance(platforms, Mapping) else list(platforms)


# The secrets that an undo needs: only of settings that come back after the store forgot their values.


def undo_secrets(
    workspace: Workspace, customer: CustomerPlan
) -> tuple[Mapping[str, SecretStr], tuple[Diagnostic, ...]]:
    """By path, and an error for each that is needed and not set. What the store has stays as it is; but where the
    customer gets another id back, it is given anew as far as it is set, since a trace fits one id alone."""
    settings: Mapping[str, Any] = customer.settings or {}
    if "customer" not in settings or not any(change.kind is Kind.CUSTOMER for change in customer.declared):
        return {}, ()
    with workspace.store.reading() as reader:
        former = former_id(customer.declared)
        record = reader.customers().get(former or customer.id)
        kept = reader.secrets(record.id) if record else {}
    values: dict[str, SecretStr] = {}
    missing = []
    for path, name in secret_references(settings["customer"]):
        stays = path in kept and kept[path][0] == name
        if stays and former is None:
            continue
        value = workspace.secrets.get(customer.id, name)
        if value is not None:
            values[path] = value
        elif not stays and not path.startswith(ADMINISTRATORS):
            missing.append(
                error(
                    "secret-not-set",
                    f"the secret {name} of {customer.id} comes back with its setting, and the store has it no more; "
                    f"nothing of {customer.id} was changed",
                    hint=f"set {workspace.secrets.place(customer.id, name)}",
                )
            )
    return values, tuple(missing)
