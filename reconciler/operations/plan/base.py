"""What a state of git adds to a plan: whom it takes, whose doing each change is, which settings protect less."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from reconciler.config.comparison import Comparison, documents_of
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.resolved import Repository, ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic, error
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, Elsewhere
from reconciler.model.settings import settings_digest
from reconciler.model.weakening import Weakening
from reconciler.operations.plan.documents import Documents, usernames
from reconciler.operations.plan.renames import RenamedCustomers, id_in_base, renamed_customers
from reconciler.operations.plan.roster import Terms
from reconciler.operations.plan.rules import capped
from reconciler.operations.plan.store_index import Standing, consumer_keys
from reconciler.planning.attribution import Documents as DocumentsOfBase
from reconciler.planning.documents.document_diff import under_new_ids
from reconciler.planning.documents.protections import settings_weakened, weakened
from reconciler.planning.documents.renames import Stored, former_ids, renames
from reconciler.store.read.records import CatalogueRecord, CustomerRecord

NOTHING: DocumentsOfBase = {}


def differing_customers(comparison: Comparison, records: Mapping[str, CustomerRecord]) -> frozenset[str]:
    """Customers, and maybe CATALOGUE, whose resolved configuration differs, with what the policy grants them, and of
    which there is anything to plan."""
    live = {slug for slug, record in records.items() if not record.tombstoned}
    now = comparison.now
    found = comparison.differing | _granted_otherwise(comparison)
    return frozenset(found & {*now.customers, *now.invalid, *live, CATALOGUE})


def _granted_otherwise(comparison: Comparison) -> frozenset[str]:
    before, now = (each.sound_settings.policy.limits for each in (comparison.before, comparison.now))
    if before == now:
        return frozenset()
    return frozenset(
        name
        for name, resolved in comparison.now.customers.items()
        if isinstance(resolved.customer.rostering, OneRosterRostering)
        and capped(resolved.customer.rostering.limits, before) != capped(resolved.customer.rostering.limits, now)
    )


def documents_before(comparison: Comparison, customer: str) -> DocumentsOfBase:
    """As the base has them, by the ids that the files have for them; none where it has no such customer, or not a valid
    one."""
    former = id_in_base(comparison, customer)
    before, now = _documents(comparison.before, former), documents_now(comparison, customer)
    renamed = {(Kind.CUSTOMER, customer): (Kind.CUSTOMER, former)} if former != customer else {}
    for kind in (Kind.COMMUNITY, Kind.LESSON):
        earlier = {name: Stored(former_ids(each)) for (one, name), each in before.items() if one is kind}
        later = {name: former_ids(each) for (one, name), each in now.items() if one is kind}
        renamed |= {(kind, new): (kind, old) for new, old in renames(later, earlier).former.items()}
    return under_new_ids(before, renamed)


def documents_now(comparison: Comparison, customer: str) -> DocumentsOfBase:
    """As the files have them; none where they have no such customer, or not a valid one."""
    return _documents(comparison.now, customer)


def _documents(repository: Repository, customer: str) -> DocumentsOfBase:
    if customer == CATALOGUE:
        return documents_of(repository.catalogue)
    resolved = repository.customers.get(customer)
    return documents_of(resolved.declared) if resolved else NOTHING


def weakened_documents(documents: Documents, before: DocumentsOfBase | None) -> tuple[Weakening, ...]:
    """before: as the base has them; None for what was applied last."""
    earlier = (
        before
        if before is not None
        else {key: each.document for key, each in documents.applied.items() if not each.tombstoned}
    )
    return tuple(
        each
        for (kind, name), wanted in sorted(documents.wanted.items())
        if (kind, name) in earlier and earlier[kind, name] != wanted.document
        for each in weakened(kind, name, earlier[kind, name], wanted.document, wanted.origins)
    )


def weakened_settings(comparison: Comparison) -> tuple[Weakening, ...]:
    before, now = (_settings(each) for each in (comparison.before, comparison.now))
    return settings_weakened(before, now, comparison.now.settings_origins)


def _settings(repository: Repository) -> Mapping[str, Any]:
    return repository.sound_settings.model_dump(mode="json", exclude_none=True)


def terms_before(comparison: Comparison, customer: Customer, terms: Terms) -> Terms | None:
    """By what the base would compare the same roster; None where that is by the same, or by nothing."""
    resolved = comparison.before.customers.get(id_in_base(comparison, customer.id))
    rostering = resolved.customer.rostering if resolved else None
    if resolved is None or not isinstance(rostering, OneRosterRostering):
        return None
    declared = resolved.declared[0]
    ceilings = comparison.before.sound_settings.policy.limits
    earlier = Terms(
        resolved.customer, rostering, tuple(sorted(usernames(declared.document))), ceilings, declared.origins
    )
    alike = (
        earlier.rostering == terms.rostering
        and earlier.ceilings == terms.ceilings
        and earlier.administrators == terms.administrators
        and resolved.customer.timezone == customer.timezone
    )
    return None if alike else earlier


def keys_taken(
    resolved: ResolvedCustomer, record: CustomerRecord | None, standing: Standing, read: Collection[str]
) -> tuple[Diagnostic, ...]:
    """An error for each consumer key that is new to a customer, and that another has in the store whose files were not
    read. record: its own, if it has one. read: ids of those whose files were: they say whether they still have it."""
    platforms = resolved.customer.lti.platforms if resolved.customer.lti else ()
    own = frozenset(consumer_keys(record)) if record and platforms and not record.tombstoned else frozenset()
    declared = resolved.declared[0]
    found = []
    for platform in platforms:
        if platform.consumer_key in own:
            continue
        owners = [slug for slug in standing.consumer_keys.get(platform.consumer_key, ()) if slug not in read]
        if owners:
            found.append(
                error(
                    "consumer-key-taken",
                    f"this consumer_key is also used by {', '.join(owners)}",
                    declared.origins.get(f"lti.platforms.{platform.id}.consumer_key", resolved.span),
                    "a consumer key tells whose LMS is calling: each is used once over all customers",
                )
            )
    return tuple(found)


# What a plan with a base leaves out, and is not as git has it all the same: counted, not shown.


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
