"""Summarizes a valid customer as a small value that a worker process returns; its documents are read again on demand.

Most customers of a plan are unchanged, and an unchanged customer needs no more than its summary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.config.load.candidate import CustomerCandidate
from reconciler.config.load.layout import CustomerFolder
from reconciler.config.load.references import ConsumerKey, FormerId
from reconciler.config.load.resolved import ConfigDocument, Outline, ResolvedCustomer
from reconciler.config.load.sources import PlacedSource
from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, build_error
from reconciler.model.ids import CustomerId

ReadAgain = Callable[[CustomerFolder], CustomerCandidate]


@dataclass(frozen=True, slots=True)
class CustomerSummary:
    """The facts that every plan needs of every customer. Picklable, about 1 kB."""

    span: Span
    name: str
    previously: tuple[CustomerId, ...]
    #: of all documents (`model.settings`)
    digest: str
    outline: Outline
    consumer_keys: tuple[ConsumerKey, ...]
    #: former ids, with where they are written
    former: tuple[FormerId, ...]
    source: PlacedSource | None
    warnings: tuple[Diagnostic, ...]


def summarize(candidate: CustomerCandidate) -> CustomerSummary | None:
    """Return the summary of a candidate that is valid by itself, else None."""
    customer = candidate.resolve_customer()
    if customer is None:
        return None
    return CustomerSummary(
        customer.span,
        customer.name,
        customer.previously,
        customer.digest,
        customer.outline,
        candidate.consumer_keys,
        candidate.former,
        candidate.source,
        customer.warnings,
    )


@dataclass(slots=True)
class SummarizedCandidate:
    """Takes the place of a `CustomerCandidate` that a worker process read."""

    folder: CustomerFolder
    summary: CustomerSummary
    read_again: ReadAgain
    #: the customer's warnings, and errors between customers
    diagnostics: list[Diagnostic]

    @property
    def id(self) -> CustomerId:
        return self.folder.id

    @property
    def claimed_id(self) -> CustomerId | None:
        return self.folder.id

    @property
    def is_read(self) -> bool:
        return True

    @property
    def former(self) -> tuple[FormerId, ...]:
        return self.summary.former

    @property
    def former_ids(self) -> tuple[CustomerId, ...]:
        return tuple(CustomerId(former) for former, _ in self.summary.former)

    @property
    def consumer_keys(self) -> tuple[ConsumerKey, ...]:
        return self.summary.consumer_keys

    @property
    def source(self) -> PlacedSource | None:
        return self.summary.source

    def resolve_customer(self) -> ResolvedCustomer | None:
        """Return the customer, or None if it has an error."""
        if any(each.is_error for each in self.diagnostics):
            return None
        return SummarizedCustomer(
            self.id, self.summary.span, tuple(self.diagnostics), self.folder, self.summary, self.read_again
        )


@dataclass(frozen=True)
class SummarizedCustomer(ResolvedCustomer):
    """A valid customer whose documents are read on demand."""

    folder: CustomerFolder = field(repr=False)
    summary: CustomerSummary = field(repr=False)
    read_again: ReadAgain = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.summary.name

    @property
    def previously(self) -> tuple[CustomerId, ...]:
        return self.summary.previously

    @property
    def digest(self) -> str:
        return self.summary.digest

    @property
    def outline(self) -> Outline:
        return self.summary.outline

    @property
    def customer(self) -> Customer:
        return self._read.customer

    @property
    def communities(self) -> Mapping[str, Community]:
        return self._read.communities

    @property
    def lessons(self) -> Mapping[str, Lesson]:
        return self._read.lessons

    @property
    def documents(self) -> tuple[ConfigDocument, ...]:
        return self._read.documents

    @cached_property
    def _read(self) -> ResolvedCustomer:
        """Read the customer again. Raises ConfigurationRefusal if its files changed since the worker read them."""
        customer = self.read_again(self.folder).resolve_customer()
        if customer is None or customer.digest != self.digest:
            raise ConfigurationRefusal(
                [
                    build_error(
                        "files-changed",
                        f"the files of {self.id} changed while they were being read",
                        self.span,
                        "Run the command again.",
                    )
                ]
            )
        return customer
