"""Defines a loaded customers repository: its documents, the place of each value, and all diagnostics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel

from reconciler.config.load.layout import CustomerFolder
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.secret import SecretName, find_secret_references
from reconciler.config.models.settings import Environment, Settings
from reconciler.config.validation.documents import build_document, find_origins
from reconciler.config.yaml.tree import MappingNode, get_key_span
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.settings import DocumentsByKey, compute_settings_digest


@dataclass(frozen=True, slots=True)
class Outline:
    """The facts about a customer's documents that, with their digest, tell whether there is anything to plan."""

    #: number of communities
    communities: int
    #: number of the customer's own lessons
    lessons: int
    #: True if a community or lesson lists former IDs
    renames: bool
    #: secrets that the customer's own document names
    secrets: tuple[SecretName, ...]

    @property
    def numbers(self) -> dict[Kind, int]:
        """Return the number of documents by kind; kinds without documents have no entry."""
        counted = {Kind.CUSTOMER: 1, Kind.COMMUNITY: self.communities, Kind.LESSON: self.lessons}
        return {kind: number for kind, number in counted.items() if number}


def build_outline(documents: DocumentsByKey) -> Outline:
    """Return the outline of all documents of one customer."""
    kinds = [kind for kind, _ in documents]
    others = [each for (kind, _), each in documents.items() if kind is not Kind.CUSTOMER]
    own = [each for (kind, _), each in documents.items() if kind is Kind.CUSTOMER]
    return Outline(
        kinds.count(Kind.COMMUNITY),
        kinds.count(Kind.LESSON),
        any(each.get("previously") for each in others),
        tuple(reference for each in own for reference in find_secret_references(each)),
    )


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """One resolved YAML document."""

    kind: Kind
    id: str
    span: Span
    #: JSON-able, defaults filled in, secrets by reference, keys sorted
    document: Mapping[str, object]
    #: dotted path -> place of the value, maybe in a defaults.yaml; no entry for a built-in default
    origins: Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class ValidDocument:
    """A valid document before its conversion to JSON."""

    kind: Kind
    id: str
    model: BaseModel
    tree: MappingNode

    def build_config_document(self) -> ConfigDocument:
        return ConfigDocument(
            self.kind, self.id, get_key_span(self.tree.place), build_document(self.model), find_origins(self.tree)
        )


# No slots: cached properties need a __dict__.
@dataclass(frozen=True)
class ResolvedCustomer(ABC):
    """A valid customer with its communities and its own lessons."""

    id: CustomerId
    #: the start of the customer's document
    span: Span
    warnings: tuple[Diagnostic, ...]

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def previously(self) -> tuple[CustomerId, ...]:
        """Return the customer's former IDs."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Return the digest of all documents (`model.settings`)."""

    @property
    @abstractmethod
    def outline(self) -> Outline: ...

    @property
    @abstractmethod
    def customer(self) -> Customer: ...

    @property
    @abstractmethod
    def communities(self) -> Mapping[str, Community]: ...

    @property
    @abstractmethod
    def lessons(self) -> Mapping[str, Lesson]: ...

    @property
    @abstractmethod
    def documents(self) -> tuple[ConfigDocument, ...]:
        """Return the customer, then communities, then own lessons, each sorted by ID."""


@dataclass(frozen=True)
class CustomerFromFiles(ResolvedCustomer):
    """A customer as its files define it now."""

    #: the customer's own document
    model: Customer
    #: all documents, in the order of `documents`
    valid_documents: tuple[ValidDocument, ...]

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def previously(self) -> tuple[CustomerId, ...]:
        return self.model.previously

    @property
    def customer(self) -> Customer:
        return self.model

    @cached_property
    def digest(self) -> str:
        return compute_settings_digest({(each.kind, each.id): each.document for each in self.documents})

    @cached_property
    def outline(self) -> Outline:
        return build_outline({(each.kind, each.id): each.document for each in self.documents})

    @cached_property
    def communities(self) -> Mapping[str, Community]:
        return {each.id: each.model for each in self.valid_documents if isinstance(each.model, Community)}

    @cached_property
    def lessons(self) -> Mapping[str, Lesson]:
        return {each.id: each.model for each in self.valid_documents if isinstance(each.model, Lesson)}

    @cached_property
    def documents(self) -> tuple[ConfigDocument, ...]:
        return tuple(each.build_config_document() for each in self.valid_documents)


@dataclass(frozen=True)
class Repository:
    """A loaded customers repository."""

    settings_or_default: Settings
    #: errors of reconciler.yaml; then `settings` raises
    settings_errors: tuple[Diagnostic, ...]
    #: the valid customers, sorted by ID
    customers: Mapping[CustomerId, ResolvedCustomer]
    #: errors by ID of each invalid customer (and CATALOG for shared lessons); these fail, and never count as removed
    invalid: Mapping[CustomerId, tuple[Diagnostic, ...]]
    catalog_lessons: tuple[ValidDocument, ...]
    #: all diagnostics, in the order of files
    diagnostics: tuple[Diagnostic, ...]
    #: every file that was read, as messages call it
    file_names: tuple[str, ...]
    #: folders of all customers by ID, read or not
    folders: Mapping[CustomerId, CustomerFolder] = field(default_factory=dict)
    #: dotted path -> place of each value of reconciler.yaml
    settings_origins: Mapping[str, Span] = field(default_factory=dict)

    @property
    def files(self) -> int:
        return len(self.file_names)

    @cached_property
    def catalog(self) -> tuple[ConfigDocument, ...]:
        """Return the shared lessons, sorted by ID."""
        return tuple(each.build_config_document() for each in self.catalog_lessons)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(each for each in self.diagnostics if each.is_error)

    @property
    def settings(self) -> Settings:
        """Return reconciler.yaml, or the defaults without it.

        Raises ConfigurationRefusal if the file is invalid: then the store is unknown.
        """
        if self.settings_errors:
            raise ConfigurationRefusal(self.settings_errors)
        return self.settings_or_default

    def get_environment(self, name: str | None) -> tuple[str, Environment]:
        """Return the environment of this name, or the first, with its name. Raises Refusal for an unknown name."""
        return self.settings.get_environment(name)
