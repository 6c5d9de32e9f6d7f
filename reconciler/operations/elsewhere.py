"""What a plan with a base leaves out, and is not as git has it all the same: counted, not shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.config.comparison import Comparison, documents_of
from reconciler.config.resolved import Repository, ResolvedCustomer
from reconciler.model.plan import CATALOGUE, Elsewhere
from reconciler.model.settings import settings_digest
from reconciler.operations.renamed import RenamedCustomers, renamed_customers
from reconciler.store.records import CatalogueRecord, CustomerRecord


def elsewhere(
    comparison: Comparison,
    records: Mapping[str, CustomerRecord],
    catalogue: CatalogueRecord,
    planned: Collection[str],
    renamed: RenamedCustomers,
) -> Elsewhere:
    """planned: customers that the plan has. renamed: of those that the comparison read. The files of the others are
    read only where the store was given other ones: an untouched customer costs nothing but its line in
    git's listing."""
    live = {slug: record for slug, record in records.items() if not record.tombstoned}
    others = {*comparison.layout_ids, *live} - {CATALOGUE, *planned, *renamed.gone()}
    drifted = {name for name in others if name in live and live[name].settings_digest is None}
    doubtful = {
        name
        for name in others - drifted
        if name not in live or name not in comparison.inputs or live[name].inputs != comparison.inputs[name]
    }
    known = comparison.now.customers.keys() | comparison.now.invalid.keys()
    further = comparison.also(doubtful - known) if doubtful - known else None
    pending, failed = 0, 0
    former = dict(renamed.renames.former)
    if further:
        later = renamed_customers(further, records)
        former |= later.renames.former
        doubtful -= later.gone()
    for name in doubtful:
        invalid, resolved = _read(name, comparison.now, further)
        failed += invalid
        pending += not invalid and _pending(resolved, live.get(former.get(name, name)))
    if CATALOGUE not in planned:
        written = catalogue.version != (0, 0)
        digest = settings_digest(documents_of(comparison.now.catalogue))
        if written and catalogue.settings_digest is None:
            drifted.add(CATALOGUE)
        elif CATALOGUE in comparison.now.invalid:
            failed += 1
        elif digest != (catalogue.settings_digest if written else settings_digest({})):
            pending += 1
    return Elsewhere(pending, len(drifted), failed)


def _read(name: str, *repositories: Repository | None) -> tuple[bool, ResolvedCustomer | None]:
    for repository in repositories:
        if repository is not None and name in repository.invalid:
            return True, None
        if repository is not None and name in repository.customers:
            return False, repository.customers[name]
    return False, None


def _pending(resolved: ResolvedCustomer | None, record: CustomerRecord | None) -> bool:
    if resolved is None or record is None:
        return (resolved is None) != (record is None)
    return settings_digest(documents_of(resolved.declared)) != record.settings_digest
