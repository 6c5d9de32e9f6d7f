"""The configuration last applied, from the store, where other work reads files: what runs by itself goes by it, so that
yesterday's checkout cannot take back what was applied today.

reconciler.yaml alone is read as always. Documents are taken as they are in the store, also where another hand changed
them: that stays drift, for the next plan of the files to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.settings import Settings
from reconciler.config.repository import Repository, load_settings
from reconciler.config.resolved import Declared, Documents, Outline, ResolvedCustomer, outline_of
from reconciler.config.secrets import backend_for
from reconciler.config.yaml.documents import community_from_document, customer_from_document, lesson_from_document
from reconciler.model.diagnostic import Refusal, Span, error
from reconciler.model.kind import Kind
from reconciler.model.settings import settings_digest
from reconciler.operations.workspace import Workspace
from reconciler.store.open import open_store
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord

#: What messages call the place where its values stand.
PLACE = "applied configuration"


def open_applied_workspace(directory: Path, environment: str | None, store_url: str | None) -> Workspace:
    """No customer is in it yet. directory: reconciler.yaml stands beside it; it need not be there itself.

    Raises Refusal where reconciler.yaml, the environment's name or the store cannot be used."""
    settings = load_settings(directory)
    name, chosen = settings.environment(environment)
    store = open_store(store_url or chosen.store, name, make=False)
    secrets = backend_for(chosen.secrets)
    nobody = _repository(settings, ())
    return Workspace(directory, name, chosen.public_url, store, secrets, read=nobody, applied=True)


def with_applied(workspace: Workspace, customers: Iterable[ResolvedCustomer]) -> Workspace:
    """The same with these customers in it."""
    return replace(workspace, read=_repository(workspace.repository.settings, customers))


@dataclass(frozen=True)
class AppliedCustomer(ResolvedCustomer):
    """documents: by kind and id as the store has them, the customer's own first."""

    documents: Documents

    @property
    def name(self) -> str:
        return self.customer.name

    @property
    def previously(self) -> tuple[str, ...]:
        return self.customer.previously

    @cached_property
    def digest(self) -> str:
        return settings_digest(self.documents)

    @property
    def outline(self) -> Outline:
        return outline_of(self.documents)

    @cached_property
    def customer(self) -> Customer:
        return customer_from_document(self.documents[Kind.CUSTOMER, self.id])

    @cached_property
    def communities(self) -> Mapping[str, Community]:
        return {name: community_from_document(each) for name, each in self._of(Kind.COMMUNITY)}

    @cached_property
    def lessons(self) -> Mapping[str, Lesson]:
        return {name: lesson_from_document(each) for name, each in self._of(Kind.LESSON)}

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        return tuple(Declared(kind, name, self.span, each, {}) for (kind, name), each in self.documents.items())

    def _of(self, wanted: Kind) -> Iterator[tuple[str, Mapping[str, object]]]:
        return ((name, document) for (kind, name), document in self.documents.items() if kind is wanted)


def applied_customer(reader: Reader, record: CustomerRecord) -> AppliedCustomer:
    """The customer's documents as they are in the store. Raises Refusal where another hand made one that says nothing
    any more."""
    documents = {(Kind.CUSTOMER, record.slug): record.document}
    documents |= {(each.kind, each.slug): each.document for each in reader.declared(record.slug) if not each.tombstoned}
    found = AppliedCustomer(record.slug, Span(PLACE), (), documents)
    try:
        _ = found.customer, found.communities
    except (ValidationError, AttributeError, TypeError) as problem:
        raise Refusal(
            [
                error(
                    "applied-configuration-unreadable",
                    f"the configuration of {record.slug} in the store is none any more: another hand changed it",
                    hint=f"apply it from its files again: reconciler apply {record.slug} --roster none",
                )
            ]
        ) from problem
    return found


def _repository(settings: Settings, customers: Iterable[ResolvedCustomer]) -> Repository:
    return Repository(settings, (), {each.id: each for each in customers}, {}, (), (), ())
