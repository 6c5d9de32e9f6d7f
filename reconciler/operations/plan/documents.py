"""The documents of one customer on both sides: as the files want them, as the store has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reconciler.config.repository import ConfigDocument, Repository
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CATALOG, PlanPrecondition
from reconciler.model.settings import compute_settings_digest
from reconciler.model.weakening import Weakening
from reconciler.operations.plan.renames import resolve_document_renames
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.planning.customer_plan import PlannedDocuments
from reconciler.planning.documents.document_diff import (
    AppliedDocument,
    AppliedDocuments,
    DocumentKey,
    WantedDocument,
    WantedDocuments,
    map_to_new_ids,
)
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.read.roster_frames import read_users

CATALOG_NAME = "Catalogue of lessons"
_LISTED_KINDS = (Kind.COMMUNITY, Kind.LESSON)


@dataclass(frozen=True, slots=True)
class CustomerDocuments:
    """wanted, applied: by kind and id in the files. seen: what the plan is made from. name: for people. diagnostics:
    what is not renamed, and why."""

    customer: str
    name: str
    wanted: WantedDocuments
    applied: AppliedDocuments
    seen: PlanPrecondition
    diagnostics: tuple[Diagnostic, ...] = ()

    def build_planned(self, changes: tuple[Change, ...], weakenings: tuple[Weakening, ...] = ()) -> PlannedDocuments:
        """Return the documents' part of a plan that makes these changes."""
        return PlannedDocuments(
            self.seen, changes, self._count_unchanged(changes), self._build_settings(changes), weakenings
        )

    def _build_settings(self, changes: tuple[Change, ...]) -> Mapping[str, object] | None:
        """What an apply keeps: every wanted document, its digest and where it stands. None without changes."""
        if not changes:
            return None
        kept: dict[str, Any] = {"digest": self.seen.declared, "communities": {}, "lessons": {}, "origins": {}}
        for (kind, name), wanted in sorted(self.wanted.items()):
            if kind is Kind.CUSTOMER:
                kept["customer"] = wanted.document
            else:
                kept[kind.plural][name] = wanted.document
            kept["origins"][f"{kind}/{name}"] = [wanted.span.file, wanted.span.line]
        return kept

    def _count_unchanged(self, changes: tuple[Change, ...]) -> dict[Kind, int]:
        """Documents by kind that are on both sides and the same."""
        changed = {(change.kind, change.key) for change in changes}
        alive = {key for key, document in self.applied.items() if not document.tombstoned}
        return {kind: sum(1 for key in alive - changed if key[0] is kind) for kind in DECLARED_KINDS}


def compute_plan_settings_digest(customer: str, settings: Mapping[str, Any]) -> str | None:
    """The digest of what `Documents.settings` keeps, as `Seen.declared` has it; None where that holds no document."""
    kept = {(kind, name): each for kind in _LISTED_KINDS for name, each in settings[kind.plural].items()}
    if "customer" in settings:
        kept[Kind.CUSTOMER, customer] = settings["customer"]
    return compute_settings_digest(kept) if kept or customer == CATALOG else None


def read_customer_documents(
    repository: Repository,
    reader: Reader,
    store_index: StoreIndex,
    customer: str,
    record: CustomerRecord | None,
    people_count: int,
) -> CustomerDocuments:
    """record: under whatever id the store has it. people: how many live accounts it has, for the impact of its removal.
    Raises Refusal where a document cannot have the id that it is to have."""
    resolved = repository.customers.get(customer)
    wanted = _build_wanted(resolved.documents) if resolved else {}
    declared = resolved.digest if resolved else None
    applied: dict[DocumentKey, AppliedDocument] = {}
    told: tuple[Diagnostic, ...] = ()
    if (
        record is not None
        and resolved is not None
        and record.slug == customer
        and store_index.has_same_documents(record, resolved.digest, resolved.outline)
    ):
        applied = {key: _copy_as_applied(each) for key, each in wanted.items()}
    elif record is not None:
        # The store forgets the digest as soon as another hand writes to these documents.
        drifted = record.settings_digest is None
        applied[Kind.CUSTOMER, customer] = AppliedDocument(
            Kind.CUSTOMER,
            record.slug,
            record.name,
            record.document,
            None,
            record.tombstoned,
            drifted and record.altered,
            {"people": people_count},
            record.written,
        )
        others, told = _apply_document_renames(wanted, read_applied_documents(reader, record.slug, drifted))
        applied |= others
    name = resolved.name if resolved else record.name if record else customer
    seen = PlanPrecondition(record.version if record else None, record.settings_digest if record else None, declared)
    return CustomerDocuments(customer, name, wanted, applied, seen, told)


def _copy_as_applied(wanted: WantedDocument) -> AppliedDocument:
    return AppliedDocument(wanted.kind, wanted.id, wanted.label, wanted.document, None, False, False, {})


def read_catalog_documents(repository: Repository, reader: Reader) -> CustomerDocuments:
    """The lessons that belong to no customer."""
    wanted = _build_wanted(repository.catalog)
    record = reader.read_catalog()
    written = record.version != (0, 0)
    stored = read_applied_documents(reader, None, written and record.settings_digest is None)
    applied, told = _apply_document_renames(wanted, stored)
    after = compute_settings_digest({key: each.document for key, each in wanted.items()})
    seen = PlanPrecondition(record.version if written else None, record.settings_digest, after)
    return CustomerDocuments(CATALOG, CATALOG_NAME, wanted, applied, seen, told)


def _apply_document_renames(
    wanted: WantedDocuments, stored: AppliedDocuments
) -> tuple[dict[DocumentKey, AppliedDocument], tuple[Diagnostic, ...]]:
    """`stored` by the ids of the files. Raises Refusal."""
    former, told = resolve_document_renames(wanted, stored)
    if any(each.is_error for each in told):
        raise Refusal(told)
    return map_to_new_ids(stored, former), told


def _build_wanted(declared: tuple[ConfigDocument, ...]) -> dict[tuple[Kind, str], WantedDocument]:
    return {
        (each.kind, each.id): WantedDocument(
            each.kind,
            each.id,
            format_document_label(each.kind, each.id, each.document),
            each.document,
            each.origins,
            each.span,
        )
        for each in declared
    }


def read_applied_documents(
    reader: Reader, customer: str | None, has_drifted: bool
) -> dict[tuple[Kind, str], AppliedDocument]:
    """Communities and lessons of a customer, or the catalogue's lessons (None), deleted ones included."""
    return {
        (record.kind, record.slug): AppliedDocument(
            record.kind,
            record.slug,
            format_document_label(record.kind, record.slug, record.document),
            record.document,
            None,
            record.tombstoned,
            has_drifted and record.altered,
            {},
            record.written,
        )
        for record in reader.read_documents(customer)
    }


def format_document_label(kind: Kind, name: str, document: Mapping[str, object]) -> str:
    return str(document.get("title" if kind is Kind.LESSON else "name") or name)


# Whether the usernames that a customer's file gives to its administrators are still to be had.


def list_admin_usernames(document: Mapping[str, object]) -> frozenset[str]:
    """Of the administrators in a customer's document."""
    known = document.get("administrators")
    return frozenset(known) if isinstance(known, Mapping) else frozenset()


def find_taken_usernames(
    wanted: WantedDocument, record: CustomerRecord | None, reader: Reader
) -> tuple[Diagnostic, ...]:
    """An error for each new administrator whose username a live account has: an apply could not make theirs."""
    if wanted.kind is not Kind.CUSTOMER or record is None:
        return ()
    known: Collection[str] = list_admin_usernames(record.document) if not record.tombstoned else ()
    new = {name.lower(): name for name in list_admin_usernames(wanted.document) if name not in known}
    if not new:
        return ()
    live = read_users(reader.connection, record.id).filter(~pl.col("tombstoned") & (pl.col("managed_by") != "config"))
    taken = live["username"].str.to_lowercase().drop_nulls()
    return tuple(
        build_error(
            "username-taken",
            "an administrator's username belongs to another account of this customer",
            wanted.origins.get(f"administrators.{name}.username", wanted.span),
            "choose another username for the administrator",
        )
        for folded, name in sorted(new.items())
        if taken.is_in([folded]).any()
    )
