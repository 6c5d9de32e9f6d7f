"""A customers repository as a value: what is declared, where each value was written, and what is wrong."""

from __future__ import annotations

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
from reconciler.model.kind import Kind
from reconciler.model.settings import DocumentsByKey, compute_settings_digest


@dataclass(frozen=True, slots=True)
class Outline:
    """communities, lessons: how many it has. renames: whether any of these says what it was called before. secrets:
    those that its own document names."""

    communities: int
    lessons: int
    renames: bool
    secrets: tuple[SecretName, ...]

    @property
    def numbers(self) -> dict[Kind, int]:
        """Documents by kind; none of a kind has no entry."""
        counted = {Kind.CUSTOMER: 1, Kind.COMMUNITY: self.communities, Kind.LESSON: self.lessons}
        return {kind: number for kind, number in counted.items() if number}


def build_outline(documents: DocumentsByKey) -> Outline:
    """Of all documents of one customer."""
    kinds = [kind for kind, _ in documents]
    others = [each for (kind, _), each in documents.items() if kind is not Kind.CUSTOMER]
    own = [each for (kind, _), each in documents.items() if kind is Kind.CUSTOMER]
    return Outline(
        kinds.count(Kind.COMMUNITY),
        kinds.count(Kind.LESSON),
        any(each.get("previously") for each in others),
        tuple(found for each in own for found in find_secret_references(each)),
    )


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """One YAML document, resolved.

    document: JSON-able, defaults filled in, secrets by reference, keys sorted. origins: dotted path in the
    document -> where the value was written, maybe in a defaults.yaml; no entry for a built-in default.
    """

    kind: Kind
    id: str
    span: Span
    document: Mapping[str, object]
    origins: Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class ValidDocument:
    """A valid document before it is made JSON-able."""

    kind: Kind
    id: str
    model: BaseModel
    tree: MappingNode

    def build_config_document(self) -> ConfigDocument:
        return ConfigDocument(
            self.kind, self.id, get_key_span(self.tree.place), build_document(self.model), find_origins(self.tree)
        )


# no slots: what is made when it is asked for is then kept
@dataclass(frozen=True)
class ResolvedCustomer(ABC):
    """A valid customer with its communities and its own lessons. span: where its document begins."""

    id: str
    span: Span
    warnings: tuple[Diagnostic, ...]

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def previously(self) -> tuple[str, ...]:
        """Its former ids."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Of all its documents (`model.settings`)."""

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
        """The customer first, then communities, then own lessons, each sorted by id."""


@dataclass(frozen=True)
class CustomerFromFiles(ResolvedCustomer):
    """As its files say it now. read: its own document. written: all, in the order of `declared`."""

    model: Customer
    valid_documents: tuple[ValidDocument, ...]

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def previously(self) -> tuple[str, ...]:
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
    """Everything that a customers repository says.

    settings_errors: why reconciler.yaml does not validate. customers: the valid
    ones, sorted. invalid: folders that do not validate, by the customer's id (and CATALOGUE for the shared
    lessons): they fail, and never count as removed. diagnostics: everything, in the order of files.
    file_names: every file that was read, as messages call it. folders: of every customer that there is, read or not.
    settings_origins: where each value of reconciler.yaml was written.
    """

    settings_or_default: Settings
    settings_errors: tuple[Diagnostic, ...]
    customers: Mapping[str, ResolvedCustomer]
    invalid: Mapping[str, tuple[Diagnostic, ...]]
    catalog_lessons: tuple[ValidDocument, ...]
    diagnostics: tuple[Diagnostic, ...]
    file_names: tuple[str, ...]
    folders: Mapping[str, CustomerFolder] = field(default_factory=dict)
    settings_origins: Mapping[str, Span] = field(default_factory=dict)

    @property
    def files(self) -> int:
        return len(self.file_names)

    @cached_property
    def catalog(self) -> tuple[ConfigDocument, ...]:
        """The shared lessons, sorted by id."""
        return tuple(each.build_config_document() for each in self.catalog_lessons)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(each for each in self.diagnostics if each.is_error)

    @property
    def settings(self) -> Settings:
        """reconciler.yaml, or what holds without it. Refusal where the file does not validate: then nobody
        knows which store is meant."""
        if self.settings_errors:
            raise ConfigurationRefusal(self.settings_errors)
        return self.settings_or_default

    def get_environment(self, name: str | None) -> tuple[str, Environment]:
        """The environment of this name, or the first. Refusal where there is none."""
        return self.settings.get_environment(name)
