"""Reads one customer's folder: its document, its communities and its own lessons."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from reconciler.config.fields.values import ID_PATTERN
from reconciler.config.load import references
from reconciler.config.load.checks import warn_about_forthcoming_keys, warn_about_old_timezone
from reconciler.config.load.defaults import DefaultsResolver
from reconciler.config.load.document import LoadResult, open_document
from reconciler.config.load.layout import CustomerFolder
from reconciler.config.load.resolved import CustomerFromFiles, ResolvedCustomer, ValidDocument
from reconciler.config.load.sources import PlacedSource, locate_roster_source
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import ValidationContext
from reconciler.config.models.lesson import Lesson
from reconciler.config.yaml.tree import find_place, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, build_error, sort_diagnostics
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind


@dataclass(slots=True)
class CustomerCandidate:
    """The content of a customer's folder, valid or not."""

    folder: CustomerFolder
    #: None if customer.yaml is missing
    customer: LoadResult[Customer] | None
    communities: list[LoadResult[Community]] = field(default_factory=list)
    lessons: list[LoadResult[Lesson]] = field(default_factory=list)
    #: everything noticed so far; an error makes the whole customer invalid
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def id(self) -> CustomerId:
        return self.folder.id

    @property
    def claimed_id(self) -> CustomerId | None:
        """Return the ID in the document, which may be invalid or differ from the folder's name; None if missing."""
        tree = self.customer.own_tree if self.customer else None
        written_id = tree.get("id") if tree is not None else None
        return CustomerId(written_id) if isinstance(written_id, str) else None

    @property
    def former_ids(self) -> tuple[CustomerId, ...]:
        """Return the former IDs in the document, valid or not."""
        tree = self.customer.own_tree if self.customer else None
        listed = tree.get("previously") if tree is not None else None
        return tuple(CustomerId(each) for each in listed if isinstance(each, str)) if isinstance(listed, list) else ()

    @property
    def is_read(self) -> bool:
        """Return whether there is a document, valid or not, whose keys are known."""
        return self.customer is not None and self.customer.tree is not None

    @property
    def former(self) -> tuple[references.FormerId, ...]:
        tree = self.customer.tree if self.customer else None
        return tuple(references.find_former_ids(tree)) if tree is not None else ()

    @property
    def consumer_keys(self) -> tuple[references.ConsumerKey, ...]:
        tree = self.customer.tree if self.customer else None
        return references.find_consumer_keys(tree) if tree is not None else ()

    @property
    def source(self) -> PlacedSource | None:
        tree = self.customer.tree if self.customer else None
        return locate_roster_source(tree) if tree is not None else None

    def resolve_customer(self) -> ResolvedCustomer | None:
        """Return the customer, or None if it has an error."""
        opened = self.customer
        if opened is None or opened.model is None or opened.tree is None:
            return None
        if any(each.is_error for each in self.diagnostics):
            return None
        own = ValidDocument(Kind.CUSTOMER, self.id, opened.model, opened.tree)
        return CustomerFromFiles(
            self.id,
            get_key_span(opened.tree.place),
            sort_diagnostics(each for each in self.diagnostics if not each.is_error),
            opened.model,
            (own, *_collect_valid_documents(self.communities), *_collect_valid_documents(self.lessons)),
        )


def open_candidate(
    folder: CustomerFolder, defaults: DefaultsResolver, shared_lessons: Collection[str], context: ValidationContext
) -> CustomerCandidate:
    """Read and validate a folder, except for rules between customers."""
    candidate = CustomerCandidate(
        folder, None, diagnostics=[*folder.diagnostics, *defaults.list_errors(folder.defaults)]
    )
    if folder.file is not None:
        inherited = defaults.resolve_for_customer(folder.defaults)
        candidate.customer = open_document(folder.file, Customer, "customer", context, inherited)
        candidate.diagnostics += _collect_diagnostics(candidate.customer, "customer", folder.id)
    inherited = defaults.resolve_for_community(folder.defaults)
    for file in folder.communities:
        community = open_document(file, Community, "community", context, inherited)
        candidate.communities.append(community)
        candidate.diagnostics += _collect_diagnostics(community, "community", file.stem)
    for file in folder.lessons:
        lesson = open_document(file, Lesson, "lesson", context)
        candidate.lessons.append(lesson)
        candidate.diagnostics += _collect_diagnostics(lesson, "lesson", file.stem)
    candidate.diagnostics += _check_references(candidate, shared_lessons)
    for kind, opened in ((Kind.COMMUNITY, candidate.communities), (Kind.LESSON, candidate.lessons)):
        candidate.diagnostics += check_former_ids(kind, opened)
    return candidate


def check_former_ids(
    kind: Kind, opened: Sequence[LoadResult[Community]] | Sequence[LoadResult[Lesson]]
) -> Iterator[Diagnostic]:
    """Yield the mistakes in former IDs of all documents of one kind and one owner."""
    documents = [
        (each.file.stem, tuple(references.find_former_ids(each.tree))) for each in opened if each.tree is not None
    ]
    for mistakes in references.find_former_id_mistakes(kind, documents, {each.file.stem for each in opened}):
        yield from mistakes


def check_id_matches_name(opened: LoadResult[BaseModel], kind: str, name: str) -> Iterator[Diagnostic]:
    """Yield an error if the ID is not the name of its file or folder. The document reports an invalid ID itself."""
    written_id = opened.tree.get("id") if opened.tree is not None else None
    if opened.tree is None or not isinstance(written_id, str) or not re.fullmatch(ID_PATTERN, written_id):
        return
    if written_id != name:
        place, _, _ = find_place(opened.tree, ("id",))
        owner = "folder" if kind == "customer" else "file"
        yield build_error(
            "id-not-name",
            f"id must be the {owner}'s name, {name}",
            get_value_span(place),
            f"Change the id, or rename the {owner}.",
        )


def _collect_diagnostics(opened: LoadResult[BaseModel], kind: str, name: str) -> Iterator[Diagnostic]:
    yield from opened.diagnostics
    yield from check_id_matches_name(opened, kind, name)
    if opened.tree is not None:
        yield from warn_about_forthcoming_keys(kind, opened.tree)
        if kind == "customer":
            yield from warn_about_old_timezone(opened.tree)


def _check_references(candidate: CustomerCandidate, shared_lessons: Collection[str]) -> Iterator[Diagnostic]:
    """Yield an error for each reference to a missing document; an invalid one reports its own errors."""
    opened = candidate.customer
    if opened is not None and opened.tree is not None:
        known = {each.file.stem for each in candidate.communities}
        yield from references.find_unknown_communities(candidate.id, opened.tree, known)
    lessons = {each.file.stem for each in candidate.lessons} | set(shared_lessons)
    for community in candidate.communities:
        if community.tree is not None:
            yield from references.find_unknown_lessons(community.tree, lessons)


def _collect_valid_documents(
    opened: list[LoadResult[Community]] | list[LoadResult[Lesson]],
) -> tuple[ValidDocument, ...]:
    kinds = {Community: Kind.COMMUNITY, Lesson: Kind.LESSON}
    return tuple(
        ValidDocument(kinds[type(each.model)], each.file.stem, each.model, each.tree)
        for each in opened
        if each.model is not None and each.tree is not None
    )
