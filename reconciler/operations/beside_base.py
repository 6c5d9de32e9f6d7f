"""What a state of git adds to a plan: whom it takes, whose doing each change is, which settings protect less."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from reconciler.config.comparison import Comparison, documents_of
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.repository import Repository
from reconciler.config.resolved import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic, error
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE
from reconciler.model.weakening import Weakening
from reconciler.operations.administrators import usernames
from reconciler.operations.documents import Documents
from reconciler.operations.renamed import id_in_base
from reconciler.operations.rosters import Terms
from reconciler.operations.rules import capped
from reconciler.operations.standing import Standing, consumer_keys
from reconciler.planning.causes import Documents as DocumentsOfBase
from reconciler.planning.declared import under_new_ids
from reconciler.planning.renames import Stored, former_ids, renames
from reconciler.planning.weakening import settings_weakened, weakened
from reconciler.store.records import CustomerRecord

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
