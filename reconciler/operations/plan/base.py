"""Compare a plan with a base in git: its customers, the base's documents, weakened settings, and what it leaves out."""

from collections.abc import Collection, Mapping
from typing import Any

from reconciler.config.comparison import BaseComparison, build_document_index
from reconciler.config.load import Repository, ResolvedCustomer
from reconciler.config.models import Customer, OneRosterRostering
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, OutsideBase
from reconciler.model.settings import DocumentsByKey, compute_settings_digest
from reconciler.model.weakening import Weakening
from reconciler.operations.plan.documents import CustomerDocuments, list_admin_usernames
from reconciler.operations.plan.renames import CustomerRenames, find_id_in_base, find_renamed_customers
from reconciler.operations.plan.roster import RosterSettings
from reconciler.operations.plan.rules import clamp_limits
from reconciler.planning.documents import (
    DocumentKey,
    StoredDocument,
    find_renames,
    find_settings_weakenings,
    find_weakenings,
    list_former_ids,
    map_to_new_ids,
)
from reconciler.store.read import CatalogRecord, CustomerRecord

NO_DOCUMENTS: DocumentsByKey = {}


def find_differing_customers(
    comparison: BaseComparison, records: Mapping[CustomerId, CustomerRecord]
) -> frozenset[CustomerId]:
    """Return the customers, and maybe CATALOG, whose resolved configuration or capped limits differ from the base.

    Leaves out ids that neither the files nor the store have."""
    live = {slug for slug, record in records.items() if not record.tombstoned}
    now = comparison.current_repository
    differing = comparison.differing_ids | _find_changed_limits(comparison)
    return frozenset(differing & {*now.customers, *now.invalid, *live, CATALOG})


def _find_changed_limits(comparison: BaseComparison) -> frozenset[CustomerId]:
    before, now = (
        each.settings_or_default.policy.limits for each in (comparison.base_repository, comparison.current_repository)
    )
    if before == now:
        return frozenset()
    return frozenset(
        name
        for name, resolved in comparison.current_repository.customers.items()
        if isinstance(resolved.customer.rostering, OneRosterRostering)
        and clamp_limits(resolved.customer.rostering.limits, before)
        != clamp_limits(resolved.customer.rostering.limits, now)
    )


def read_base_documents(comparison: BaseComparison, customer: CustomerId) -> DocumentsByKey:
    """Return the base's documents by their ids in the files; none if the customer is missing or invalid there."""
    former = find_id_in_base(comparison, customer)
    before = index_documents(comparison.base_repository, former)
    now = index_documents(comparison.current_repository, customer)
    renamed: dict[DocumentKey, DocumentKey] = (
        {(Kind.CUSTOMER, customer): (Kind.CUSTOMER, former)} if former != customer else {}
    )
    for kind in (Kind.COMMUNITY, Kind.LESSON):
        earlier = {name: StoredDocument(list_former_ids(each)) for (one, name), each in before.items() if one is kind}
        later = {name: list_former_ids(each) for (one, name), each in now.items() if one is kind}
        renamed |= {(kind, new): (kind, old) for new, old in find_renames(later, earlier).former.items()}
    return map_to_new_ids(before, renamed)


def index_documents(repository: Repository, customer: CustomerId) -> DocumentsByKey:
    """Return a customer's documents, or the catalog's; none if there is no such customer, or not a valid one."""
    if customer == CATALOG:
        return build_document_index(repository.catalog)
    resolved = repository.customers.get(customer)
    return build_document_index(resolved.documents) if resolved else NO_DOCUMENTS


def list_weakened_documents(documents: CustomerDocuments, before: DocumentsByKey | None) -> tuple[Weakening, ...]:
    """Return the weakenings in the documents' changes. before: the base's documents; None to compare with the store."""
    earlier = (
        before
        if before is not None
        else {key: each.document for key, each in documents.applied.items() if not each.tombstoned}
    )
    return tuple(
        each
        for (kind, name), wanted in sorted(documents.wanted.items())
        if (kind, name) in earlier and earlier[kind, name] != wanted.document
        for each in find_weakenings(kind, name, earlier[kind, name], wanted.document, wanted.origins)
    )


def list_weakened_settings(comparison: BaseComparison) -> tuple[Weakening, ...]:
    """Return the weakenings in the changes of reconciler.yaml since the base."""
    before, now = (_dump_settings(each) for each in (comparison.base_repository, comparison.current_repository))
    return find_settings_weakenings(before, now, comparison.current_repository.settings_origins)


def _dump_settings(repository: Repository) -> Mapping[str, Any]:
    return repository.settings_or_default.model_dump(mode="json", exclude_none=True)


def build_base_roster_settings(
    comparison: BaseComparison, customer: Customer, roster_settings: RosterSettings
) -> RosterSettings | None:
    """Return the base's roster settings, or None if they are the same or the base syncs no roster."""
    resolved = comparison.base_repository.customers.get(find_id_in_base(comparison, customer.id))
    rostering = resolved.customer.rostering if resolved else None
    if resolved is None or not isinstance(rostering, OneRosterRostering):
        return None
    declared = resolved.documents[0]
    ceilings = comparison.base_repository.settings_or_default.policy.limits
    earlier = RosterSettings(
        resolved.customer, rostering, tuple(sorted(list_admin_usernames(declared.document))), ceilings, declared.origins
    )
    is_same = (
        earlier.rostering == roster_settings.rostering
        and earlier.ceilings == roster_settings.ceilings
        and earlier.administrators == roster_settings.administrators
        and resolved.customer.timezone == customer.timezone
    )
    return None if is_same else earlier


def count_outside_base(
    comparison: BaseComparison,
    records: Mapping[CustomerId, CustomerRecord],
    catalog: CatalogRecord,
    planned: Collection[str],
    renamed: CustomerRenames,
) -> OutsideBase:
    """Count the customers outside the plan whose store differs from git: pending, drifted or invalid.

    planned: the plan's customers. renamed: of the files that the comparison read. Other files are read only if the
    store was last applied from different ones, so an unchanged customer costs only its line in git's listing."""
    live = {slug: record for slug, record in records.items() if not record.tombstoned}
    others = {*comparison.layout_ids, *live} - {CATALOG, *planned, *renamed.list_replaced_ids()}
    drifted = {name for name in others if name in live and live[name].settings_digest is None}
    doubtful = {
        name
        for name in others - drifted
        if name not in live or name not in comparison.inputs or live[name].inputs != comparison.inputs[name]
    }
    known = comparison.current_repository.customers.keys() | comparison.current_repository.invalid.keys()
    further = comparison.load_more_customers(doubtful - known) if doubtful - known else None
    pending, failed = 0, 0
    former = dict(renamed.renames.former)
    if further:
        later = find_renamed_customers(further, records)
        former |= later.renames.former
        doubtful -= later.list_replaced_ids()
    for name in doubtful:
        invalid, resolved = _find_resolved(name, comparison.current_repository, further)
        failed += invalid
        pending += not invalid and _is_pending(resolved, live.get(former.get(name, name)))
    if CATALOG not in planned:
        written = catalog.version != (0, 0)
        digest = compute_settings_digest(build_document_index(comparison.current_repository.catalog))
        if written and catalog.settings_digest is None:
            drifted.add(CATALOG)
        elif CATALOG in comparison.current_repository.invalid:
            failed += 1
        elif digest != (catalog.settings_digest if written else compute_settings_digest({})):
            pending += 1
    return OutsideBase(pending, len(drifted), failed)


def _find_resolved(name: CustomerId, *repositories: Repository | None) -> tuple[bool, ResolvedCustomer | None]:
    for repository in repositories:
        if repository is not None and name in repository.invalid:
            return True, None
        if repository is not None and name in repository.customers:
            return False, repository.customers[name]
    return False, None


def _is_pending(resolved: ResolvedCustomer | None, record: CustomerRecord | None) -> bool:
    if resolved is None or record is None:
        return (resolved is None) != (record is None)
    return compute_settings_digest(build_document_index(resolved.documents)) != record.settings_digest
