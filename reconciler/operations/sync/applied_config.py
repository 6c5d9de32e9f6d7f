"""Read the configuration last applied from the store instead of the files.

Unattended work uses it, so that an old checkout cannot reverse newer settings. Only reconciler.yaml is read as a file.
Documents that were changed outside reconciler are used as they are; the next plan of the files shows that drift.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import ValidationError

from reconciler.config.load import ConfigDocument, Outline, ResolvedCustomer, build_outline, find_settings_folder
from reconciler.config.models import Community, Customer, Lesson, Settings
from reconciler.config.repository import Repository, load_settings
from reconciler.config.secrets import create_backend
from reconciler.config.validation import parse_community_document, parse_customer_document, parse_lesson_document
from reconciler.model.diagnostic import Refusal, Span, build_error
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.settings import DocumentsByKey, compute_settings_digest
from reconciler.operations.location import Location
from reconciler.operations.workspace import Workspace, resolve_environment
from reconciler.store.open import KEY_FOLDER, open_store
from reconciler.store.read import CustomerRecord, Reader

#: file name of its values in messages
PLACE = "applied configuration"


def open_applied_workspace(location: Location) -> Workspace:
    """Open a workspace without customers; the location's directory need not exist, only reconciler.yaml next to it.

    Raises Refusal if reconciler.yaml, the environment's name or the store cannot be used."""
    settings = load_settings(location.directory)
    name, chosen = resolve_environment(settings, location)
    key_folder = find_settings_folder(location.directory) / KEY_FOLDER
    store = open_store(location.store or chosen.store, name, make=False, key_folder=key_folder)
    secrets = create_backend(chosen.secrets)
    nobody = _build_repository(settings, ())
    return Workspace(
        location.directory, name, chosen.public_url, store, secrets, loaded_repository=nobody, uses_applied_config=True
    )


def add_applied_customers(workspace: Workspace, customers: Iterable[ResolvedCustomer]) -> Workspace:
    """Return the workspace with these customers instead of its own."""
    return replace(workspace, loaded_repository=_build_repository(workspace.repository.settings, customers))


@dataclass(frozen=True)
class AppliedCustomer(ResolvedCustomer):
    """A customer resolved from the store's documents."""

    #: by kind and id, the customer's own first
    stored_documents: DocumentsByKey

    @property
    def name(self) -> str:
        return self.customer.name

    @property
    def previously(self) -> tuple[CustomerId, ...]:
        return self.customer.previously

    @cached_property
    def digest(self) -> str:
        return compute_settings_digest(self.stored_documents)

    @property
    def outline(self) -> Outline:
        return build_outline(self.stored_documents)

    @cached_property
    def customer(self) -> Customer:
        return parse_customer_document(self.stored_documents[Kind.CUSTOMER, self.id])

    @cached_property
    def communities(self) -> Mapping[str, Community]:
        return {name: parse_community_document(each) for name, each in self._iterate_documents(Kind.COMMUNITY)}

    @cached_property
    def lessons(self) -> Mapping[str, Lesson]:
        return {name: parse_lesson_document(each) for name, each in self._iterate_documents(Kind.LESSON)}

    @cached_property
    def documents(self) -> tuple[ConfigDocument, ...]:
        return tuple(
            ConfigDocument(kind, name, self.span, each, {}) for (kind, name), each in self.stored_documents.items()
        )

    def _iterate_documents(self, wanted: Kind) -> Iterator[tuple[str, Mapping[str, object]]]:
        return ((name, document) for (kind, name), document in self.stored_documents.items() if kind is wanted)


def read_applied_customer(reader: Reader, record: CustomerRecord) -> AppliedCustomer:
    """Return the customer as the store has it. Raises Refusal if a change outside reconciler made it invalid."""
    documents: dict[tuple[Kind, str], Mapping[str, object]] = {(Kind.CUSTOMER, record.slug): record.document}
    documents |= {
        (each.kind, each.slug): each.document for each in reader.read_documents(record.slug) if not each.tombstoned
    }
    customer = AppliedCustomer(record.slug, Span(PLACE), (), documents)
    try:
        _ = customer.customer, customer.communities
    except (ValidationError, AttributeError, TypeError) as problem:
        raise Refusal(
            [
                build_error(
                    "applied-configuration-unreadable",
                    f"the configuration of {record.slug} in the store is invalid: it was changed outside reconciler",
                    hint=f"Apply its files again: reconciler apply {record.slug} --roster none",
                )
            ]
        ) from problem
    return customer


def _build_repository(settings: Settings, customers: Iterable[ResolvedCustomer]) -> Repository:
    return Repository(settings, (), {each.id: each for each in customers}, {}, (), (), ())
