"""One customer's folder, read as a whole: its document, its communities and its own lessons."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from reconciler.config.fields.values import ID
from reconciler.config.load.checks import not_yet_in_force
from reconciler.config.load.defaults import Heritage
from reconciler.config.load.document import Opened, open_document
from reconciler.config.load.layout import CustomerFolder
from reconciler.config.load.references import (
    ConsumerKey,
    FormerId,
    consumer_keys,
    former_ids,
    mistaken_former_ids,
    unknown_communities,
    unknown_lessons,
)
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.declaration import Circumstances
from reconciler.config.models.lesson import Lesson
from reconciler.config.resolved import ReadCustomer, ResolvedCustomer, Written
from reconciler.config.yaml.tree import key_span, place_at, value_span
from reconciler.model.diagnostic import Diagnostic, error, in_order
from reconciler.model.kind import Kind


@dataclass(slots=True)
class Candidate:
    """What a folder holds, valid or not. found: everything noticed so far; an error in it makes the whole
    customer invalid."""

    folder: CustomerFolder
    customer: Opened[Customer] | None
    communities: list[Opened[Community]] = field(default_factory=list)
    lessons: list[Opened[Lesson]] = field(default_factory=list)
    found: list[Diagnostic] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.folder.id

    @property
    def claimed_id(self) -> str | None:
        """What the document says it is; the folder's name may be another."""
        tree = self.customer.written if self.customer else None
        said = tree.get("id") if tree is not None else None
        return said if isinstance(said, str) else None

    @property
    def former_ids(self) -> tuple[str, ...]:
        """What the document says that it was called, valid or not."""
        tree = self.customer.written if self.customer else None
        said = tree.get("previously") if tree is not None else None
        return tuple(each for each in said if isinstance(each, str)) if isinstance(said, list) else ()

    @property
    def is_read(self) -> bool:
        """Whether there is a document, valid or not, of which anything is known."""
        return self.customer is not None and self.customer.tree is not None

    @property
    def former(self) -> tuple[FormerId, ...]:
        tree = self.customer.tree if self.customer else None
        return tuple(former_ids(tree)) if tree is not None else ()

    @property
    def consumer_keys(self) -> tuple[ConsumerKey, ...]:
        tree = self.customer.tree if self.customer else None
        return consumer_keys(tree) if tree is not None else ()

    def resolved(self) -> ResolvedCustomer | None:
        """The valid customer; None where anything is wrong."""
        opened = self.customer
        if opened is None or opened.model is None or opened.tree is None:
            return None
        if any(each.is_error for each in self.found):
            return None
        own = Written(Kind.CUSTOMER, self.id, opened.model, opened.tree)
        return ReadCustomer(
            self.id,
            key_span(opened.tree.place),
            in_order(each for each in self.found if not each.is_error),
            opened.model,
            (own, *_valid(self.communities), *_valid(self.lessons)),
        )


def open_candidate(
    folder: CustomerFolder, heritage: Heritage, shared_lessons: Collection[str], known: Circumstances
) -> Candidate:
    """Reads and validates a folder, as far as it goes without looking at other customers."""
    candidate = Candidate(folder, None, found=[*folder.diagnostics, *heritage.errors_of(folder.defaults)])
    if folder.file is not None:
        inherited = heritage.for_customer(folder.defaults)
        candidate.customer = open_document(folder.file, Customer, "customer", known, inherited)
        candidate.found += _noticed(candidate.customer, "customer", folder.id)
    inherited = heritage.for_community(folder.defaults)
    for file in folder.communities:
        community = open_document(file, Community, "community", known, inherited)
        candidate.communities.append(community)
        candidate.found += _noticed(community, "community", file.stem)
    for file in folder.lessons:
        lesson = open_document(file, Lesson, "lesson", known)
        candidate.lessons.append(lesson)
        candidate.found += _noticed(lesson, "lesson", file.stem)
    candidate.found += _unresolved(candidate, shared_lessons)
    for kind, opened in ((Kind.COMMUNITY, candidate.communities), (Kind.LESSON, candidate.lessons)):
        candidate.found += former_id_mistakes(kind, opened)
    return candidate


def former_id_mistakes(
    kind: Kind, opened: Sequence[Opened[Community]] | Sequence[Opened[Lesson]]
) -> Iterator[Diagnostic]:
    """Of all documents of one kind and one owner."""
    documents = [(each.file.stem, tuple(former_ids(each.tree))) for each in opened if each.tree is not None]
    for found in mistaken_former_ids(kind, documents, {each.file.stem for each in opened}):
        yield from found


def named_otherwise(opened: Opened[BaseModel], kind: str, name: str) -> Iterator[Diagnostic]:
    """An id that is not the name of its file or folder. What is no id at all is told by the document."""
    said = opened.tree.get("id") if opened.tree is not None else None
    if opened.tree is not None and isinstance(said, str) and said != name and re.fullmatch(ID, said):
        place, _, _ = place_at(opened.tree, ("id",))
        what = "folder" if kind == "customer" else "file"
        yield error(
            "id-not-name",
            f"id must be the {what}'s name, {name}",
            value_span(place),
            f"change the id, or rename the {what}",
        )


def _noticed(opened: Opened[BaseModel], kind: str, name: str) -> Iterator[Diagnostic]:
    yield from opened.diagnostics
    yield from named_otherwise(opened, kind, name)
    if opened.tree is not None:
        yield from not_yet_in_force(kind, opened.tree)


def _unresolved(candidate: Candidate, shared_lessons: Collection[str]) -> Iterator[Diagnostic]:
    """References to what is not there. A file that is there but broken has its own error."""
    opened = candidate.customer
    if opened is not None and opened.tree is not None:
        known = {each.file.stem for each in candidate.communities}
        yield from unknown_communities(candidate.id, opened.tree, known)
    lessons = {each.file.stem for each in candidate.lessons} | set(shared_lessons)
    for community in candidate.communities:
        if community.tree is not None:
            yield from unknown_lessons(community.tree, lessons)


def _valid(opened: list[Opened[Community]] | list[Opened[Lesson]]) -> tuple[Written, ...]:
    kinds = {Community: Kind.COMMUNITY, Lesson: Kind.LESSON}
    return tuple(
        Written(kinds[type(each.model)], each.file.stem, each.model, each.tree)
        for each in opened
        if each.model is not None and each.tree is not None
    )
