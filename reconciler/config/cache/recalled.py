"""A valid customer as one line, and back: the same documents and warnings without its files.

The line has two parts, each JSON: what everybody asks of every customer, and the documents, which are parsed for
whoever asks: of most customers nobody does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from reconciler.config.load.candidate import Candidate
from reconciler.config.load.layout import CustomerFolder
from reconciler.config.load.references import ConsumerKey, FormerId
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.resolved import Declared, Outline, ResolvedCustomer
from reconciler.config.yaml.documents import community_from_document, customer_from_document, lesson_from_document
from reconciler.model.diagnostic import Diagnostic, Severity, Span
from reconciler.model.kind import Kind

#: of a line; maybe within the file that it stands in
Part = bytes | memoryview


@dataclass(frozen=True)
class RecalledCustomer(ResolvedCustomer):
    """facts, written: the line's two parts. read_again: the customer from its files, for where its values stand."""

    facts: Mapping[str, Any] = field(repr=False)
    written: Part = field(repr=False)
    read_again: Callable[[], ResolvedCustomer | None] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return str(self.facts["name"])

    @property
    def previously(self) -> tuple[str, ...]:
        return tuple(self.facts["previously"])

    @property
    def digest(self) -> str:
        return str(self.facts["digest"])

    @cached_property
    def outline(self) -> Outline:
        communities, lessons, renames, secrets = self.facts["outline"]
        return Outline(communities, lessons, renames, tuple((path, name) for path, name in secrets))

    @cached_property
    def customer(self) -> Customer:
        return customer_from_document(self._document)

    @cached_property
    def communities(self) -> Mapping[str, Community]:
        return {name: community_from_document(each) for name, each in self._of(Kind.COMMUNITY)}

    @cached_property
    def lessons(self) -> Mapping[str, Lesson]:
        return {name: lesson_from_document(each) for name, each in self._of(Kind.LESSON)}

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        return tuple(
            Declared(Kind(kind), name, Span(*span), document, RecalledOrigins(self, (Kind(kind), name)))
            for kind, name, span, document in self._documents
        )

    @cached_property
    def _documents(self) -> Sequence[tuple[str, str, tuple[str, int, int], Mapping[str, Any]]]:
        """Kind, id, span and content; the customer's own first."""
        documents: list[tuple[str, str, tuple[str, int, int], Mapping[str, Any]]] = orjson.loads(self.written)
        return documents

    @property
    def _document(self) -> Mapping[str, Any]:
        return self._documents[0][3]

    def _of(self, wanted: Kind) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((name, document) for kind, name, _, document in self._documents if kind == wanted.value)

    @cached_property
    def all_origins(self) -> Mapping[tuple[Kind, str], Mapping[str, Span]]:
        """Of every document. Read from the files again: of most customers nobody asks."""
        again = self.read_again()
        return {(each.kind, each.id): each.origins for each in again.declared} if again else {}


class RecalledOrigins(Mapping[str, Span]):
    """Of one document of a recalled customer."""

    __slots__ = ("_customer", "_document")

    def __init__(self, customer: RecalledCustomer, document: tuple[Kind, str]) -> None:
        self._customer = customer
        self._document = document

    @property
    def _origins(self) -> Mapping[str, Span]:
        return self._customer.all_origins.get(self._document, {})

    def __getitem__(self, path: str) -> Span:
        return self._origins[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)


@dataclass(slots=True)
class RecalledCandidate:
    """Stands where a `Candidate` does. found: its warnings, and what is noticed now between customers."""

    folder: CustomerFolder
    facts: Mapping[str, Any]
    written: Part
    read_again: Callable[[], ResolvedCustomer | None]
    found: list[Diagnostic]

    @property
    def id(self) -> str:
        return self.folder.id

    @property
    def claimed_id(self) -> str | None:
        return self.folder.id

    @property
    def is_read(self) -> bool:
        return True

    @property
    def former(self) -> tuple[FormerId, ...]:
        return tuple((former, Span(*span)) for former, span in self.facts["former"])

    @property
    def former_ids(self) -> tuple[str, ...]:
        return tuple(former for former, _ in self.facts["former"])

    @property
    def consumer_keys(self) -> tuple[ConsumerKey, ...]:
        return tuple((key, Span(*span)) for key, span in self.facts["keys"])

    def resolved(self) -> ResolvedCustomer | None:
        if any(each.is_error for each in self.found):
            return None
        return RecalledCustomer(
            self.id,
            Span(*self.facts["span"]),
            tuple(self.found),
            facts=self.facts,
            written=self.written,
            read_again=self.read_again,
        )


def line_of(candidate: Candidate, customer: ResolvedCustomer, day: str) -> tuple[bytes, bytes]:
    """Its two parts, without a line end or a tab. customer: the candidate's. day: on which it was valid; it is on
    every later day as well."""
    outline = customer.outline
    facts = {
        "day": day,
        "span": _span(customer.span),
        "name": customer.name,
        "previously": customer.previously,
        "digest": customer.digest,
        "outline": (outline.communities, outline.lessons, outline.renames, outline.secrets),
        "keys": [(key, _span(span)) for key, span in candidate.consumer_keys],
        "former": [(former, _span(span)) for former, span in candidate.former],
        "warnings": [
            (each.code, each.severity.value, each.message, _span(each.span), each.hint) for each in customer.warnings
        ],
    }
    documents = [(each.kind.value, each.id, _span(each.span), each.document) for each in customer.declared]
    return orjson.dumps(facts), orjson.dumps(documents)


def recalled(
    parts: tuple[bytes, Part], folder: CustomerFolder, day: str, read_again: Callable[[], ResolvedCustomer | None]
) -> RecalledCandidate | None:
    """What `line_of` gave; None where it was valid on a later day than `day` alone."""
    first, written = parts
    facts = orjson.loads(first)
    if day < facts["day"]:
        return None
    found = [
        Diagnostic(code, Severity(severity), message, Span(*span) if span else None, hint)
        for code, severity, message, span, hint in facts["warnings"]
    ]
    return RecalledCandidate(folder, facts, written, read_again, found)


def _span(span: Span | None) -> tuple[str, int, int] | None:
    return (span.file, span.line, span.column) if span else None
