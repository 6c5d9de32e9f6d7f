"""Read the documents of one customer, or of the catalog, from the files and from the store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reconciler.config.repository import ConfigDocument, Repository
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CATALOG, PlanPrecondition
from reconciler.model.settings import compute_settings_digest
from reconciler.model.text_form import make_caseless_column, make_caseless_form
from reconciler.model.weakening import Weakening
from reconciler.operations.plan.renames import resolve_document_renames
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.planning import documents as document_planning
from reconciler.planning.customer_plan import PlannedDocuments
from reconciler.store.read import CustomerRecord, Reader, read_users

CATALOG_NAME = "Catalog of lessons"
_LISTED_KINDS = (Kind.COMMUNITY, Kind.LESSON)


@dataclass(frozen=True, slots=True)
class CustomerDocuments:
    customer: CustomerId
    #: for people
    name: str
    #: the files' documents, by kind and id
    wanted: document_planning.WantedDocuments
    #: the store's documents, by kind and id in the files
    applied: document_planning.AppliedDocuments
    #: state of the store and the files that the plan is made from
    seen: PlanPrecondition
    #: for former ids that are not renamed
    diagnostics: tuple[Diagnostic, ...] = ()

    def build_planned(
        self,
        changes: tuple[Change, ...],
        weakenings: tuple[Weakening, ...] = (),
        hold_causes: tuple[str, ...] = (),
    ) -> PlannedDocuments:
        """Return the documents' part of a plan that makes these changes."""
        return PlannedDocuments(
            self.seen, changes, self._count_unchanged(changes), self._build_settings(changes), weakenings, hold_causes
        )

    def _build_settings(self, changes: tuple[Change, ...]) -> Mapping[str, object] | None:
        """Return what an apply saves: the wanted documents, their digest and origins; None without changes."""
        if not changes:
            return None
        settings: dict[str, Any] = {"digest": self.seen.declared, "communities": {}, "lessons": {}, "origins": {}}
        for (kind, name), wanted in sorted(self.wanted.items()):
            if kind is Kind.CUSTOMER:
                settings["customer"] = wanted.document
            else:
                settings[kind.plural][name] = wanted.document
            settings["origins"][f"{kind}/{name}"] = [wanted.span.file, wanted.span.line]
        return settings

    def _count_unchanged(self, changes: tuple[Change, ...]) -> dict[Kind, int]:
        changed = {(change.kind, change.key) for change in changes}
        active = {key for key, document in self.applied.items() if not document.tombstoned}
        return {kind: sum(1 for key in active - changed if key[0] is kind) for kind in DECLARED_KINDS}


def compute_plan_settings_digest(customer: CustomerId, settings: Mapping[str, Any]) -> str | None:
    """Return the digest of a plan's `settings`, to compare with `PlanPrecondition.declared`; None without documents."""
    documents = {(kind, name): each for kind in _LISTED_KINDS for name, each in settings[kind.plural].items()}
    if "customer" in settings:
        documents[Kind.CUSTOMER, customer] = settings["customer"]
    return compute_settings_digest(documents) if documents or customer == CATALOG else None


def read_customer_documents(
    repository: Repository,
    reader: Reader,
    store_index: StoreIndex,
    customer: CustomerId,
    record: CustomerRecord | None,
    people_count: int,
) -> CustomerDocuments:
    """Return the documents of a customer.

    record: maybe under a former id. people_count: active accounts, for the impact of its removal. Raises Refusal if a
    document cannot have its id."""
    resolved = repository.customers.get(customer)
    wanted = _build_wanted(resolved.documents) if resolved else {}
    declared = resolved.digest if resolved else None
    applied: dict[document_planning.DocumentKey, document_planning.AppliedDocument] = {}
    diagnostics: tuple[Diagnostic, ...] = ()
    if (
        record is not None
        and resolved is not None
        and record.slug == customer
        and store_index.has_same_documents(record, resolved.digest, resolved.outline)
    ):
        applied = {key: _copy_as_applied(each) for key, each in wanted.items()}
    elif record is not None:
        # A write to these documents outside reconciler deletes the digest.
        drifted = record.settings_digest is None
        applied[Kind.CUSTOMER, customer] = document_planning.AppliedDocument(
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
        others, diagnostics = _apply_document_renames(wanted, read_applied_documents(reader, record.slug, drifted))
        applied |= others
    name = resolved.name if resolved else record.name if record else customer
    seen = PlanPrecondition(record.version if record else None, record.settings_digest if record else None, declared)
    return CustomerDocuments(customer, name, wanted, applied, seen, diagnostics)


def _copy_as_applied(wanted: document_planning.WantedDocument) -> document_planning.AppliedDocument:
    return document_planning.AppliedDocument(
        wanted.kind, wanted.id, wanted.label, wanted.document, None, False, False, {}
    )


def read_catalog_documents(repository: Repository, reader: Reader) -> CustomerDocuments:
    """Return the lessons that belong to no customer."""
    wanted = _build_wanted(repository.catalog)
    record = reader.read_catalog()
    written = record.version != (0, 0)
    stored = read_applied_documents(reader, None, written and record.settings_digest is None)
    applied, diagnostics = _apply_document_renames(wanted, stored)
    after = compute_settings_digest({key: each.document for key, each in wanted.items()})
    seen = PlanPrecondition(record.version if written else None, record.settings_digest, after)
    return CustomerDocuments(CATALOG, CATALOG_NAME, wanted, applied, seen, diagnostics)


def _apply_document_renames(
    wanted: document_planning.WantedDocuments, stored: document_planning.AppliedDocuments
) -> tuple[dict[document_planning.DocumentKey, document_planning.AppliedDocument], tuple[Diagnostic, ...]]:
    """Return the stored documents by their ids in the files. Raises Refusal."""
    former, diagnostics = resolve_document_renames(wanted, stored)
    if any(each.is_error for each in diagnostics):
        raise Refusal(diagnostics)
    return document_planning.map_to_new_ids(stored, former), diagnostics


def _build_wanted(declared: tuple[ConfigDocument, ...]) -> dict[tuple[Kind, str], document_planning.WantedDocument]:
    return {
        (each.kind, each.id): document_planning.WantedDocument(
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
    reader: Reader, customer: CustomerId | None, has_drifted: bool
) -> dict[tuple[Kind, str], document_planning.AppliedDocument]:
    """Return a customer's communities and lessons, or the catalog's lessons (None), deleted ones included."""
    return {
        (record.kind, record.slug): document_planning.AppliedDocument(
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


def list_admin_usernames(document: Mapping[str, object]) -> frozenset[str]:
    """Return the usernames of the administrators in a customer's document."""
    administrators = document.get("administrators")
    return frozenset(administrators) if isinstance(administrators, Mapping) else frozenset()


def find_taken_usernames(
    wanted: document_planning.WantedDocument, record: CustomerRecord | None, reader: Reader
) -> tuple[Diagnostic, ...]:
    """Return an error for each new administrator whose username belongs to an active account."""
    if wanted.kind is not Kind.CUSTOMER or record is None:
        return ()
    known: Collection[str] = list_admin_usernames(record.document) if not record.tombstoned else ()
    new = {make_caseless_form(name): name for name in list_admin_usernames(wanted.document) if name not in known}
    if not new:
        return ()
    live = read_users(reader.connection, record.id).filter(~pl.col("tombstoned") & (pl.col("managed_by") != "config"))
    taken = make_caseless_column(live["username"]).drop_nulls()
    return tuple(
        build_error(
            "username-taken",
            "this administrator's username belongs to another account of the customer",
            wanted.origins.get(f"administrators.{name}.username", wanted.span),
            "Choose another username for the administrator.",
        )
        for folded, name in sorted(new.items())
        if taken.is_in([folded]).any()
    )
