"""Define the records that a reader returns from the store's small tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from reconciler.model.ids import CustomerId, CustomerNumber, HoldId, Moment, PlanId, RunId
from reconciler.model.kind import Kind
from reconciler.store.json_text import parse_stored_document


def apply_columns(text: str, written: str | None, columns: Mapping[str, str]) -> Mapping[str, object]:
    """Return a stored document with the values of the columns that repeat some of it; an unreadable one is empty.

    Document and column differ only after a write outside reconciler, which a plan has to see whichever of them it
    changed: if the document still has the value that its run wrote, the column was changed. written: the document as a
    run wrote it; None if unknown."""
    document = parse_stored_document(text) or {}
    differing = {key: value for key, value in columns.items() if document.get(key, value) != value}
    if not differing or written is None:
        return document
    earlier = parse_stored_document(written) or {}
    changed = {key: value for key, value in differing.items() if document[key] == earlier.get(key)}
    return {**document, **changed}


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """A secret of a customer as last applied, without its value."""

    #: None for a generated one
    reference: str | None
    #: HMAC of the value
    digest: str
    #: of the key of the HMAC; None for a row from before keys had ids
    key_id: str | None = None


# No slots, so that the document is parsed only if it is needed.
@dataclass(frozen=True)
class CustomerRecord:
    """A customer as last applied."""

    id: CustomerNumber
    slug: CustomerId
    name: str
    #: the document as JSON
    text: str
    #: None once the customer or one of its communities or lessons was changed outside reconciler
    settings_digest: str | None
    #: (id of the last run or 0, write counter)
    version: tuple[RunId, int]
    tombstoned: bool
    #: digest of the files that the customer was read from
    inputs: str | None = None
    #: the document as a run last wrote it; None if unknown
    written_text: str | None = None
    #: the column, which rules if it differs from the document
    status: str = "active"

    @cached_property
    def document(self) -> Mapping[str, object]:
        """Return the parsed document with the values of columns that repeat its own, or an empty one if a write outside
        reconciler made it invalid."""
        return apply_columns(self.text, self.written_text, {"name": self.name, "status": self.status})

    @property
    def altered(self) -> bool:
        """Return True if the row differs from the one its run wrote, or if the latter is unknown."""
        return self.text != self.written_text or self.document != (parse_stored_document(self.text) or {})

    @cached_property
    def written(self) -> Mapping[str, object] | None:
        """Return the document that the run wrote, or None if it is unknown or not altered."""
        return parse_stored_document(self.written_text) if self.altered and self.written_text is not None else None


@dataclass(frozen=True, slots=True)
class CatalogRecord:
    """The state of the shared lessons; settings_digest and version as in CustomerRecord."""

    settings_digest: str | None
    version: tuple[RunId, int]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A community or lesson as last applied; altered and written as in CustomerRecord."""

    kind: Kind
    slug: str
    label: str
    document: Mapping[str, object]
    tombstoned: bool
    row_id: int
    altered: bool = False
    written: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """The source of the last good roster."""

    run_id: RunId
    type: str
    name: str
    #: of OneRoster
    version: str
    sha256: str
    fetched_at: Moment
    complete: bool
    #: number of data rows by file stem
    rows: Mapping[str, int]
    #: facts that gates compare later rosters with
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The facts of the last good roster that gates compare the next one with; fields as in SnapshotRecord."""

    sha256: str
    fetched_at: Moment
    rows: Mapping[str, int]
    facts: Mapping[str, Any]


class HoldScope(StrEnum):
    """The part of a customer that a hold covers: its roster or its documents."""

    ROSTER = "roster"
    DECLARED = "declared"


#: The causes of a hold that a write outside reconciler made unreadable.
UNREADABLE_CAUSES = ("Its causes in the store cannot be read: they were changed outside reconciler.",)


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A set of changes that waits for approval."""

    customer: CustomerId
    id: HoldId
    people: int
    rows: int
    causes: tuple[str, ...]
    plan_id: PlanId
    created_at: Moment
    #: True if the store has a plan of exactly this hold
    has_plan: bool = False


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One apply or undo."""

    id: RunId
    #: the customer's row; None for the catalog and for an erased customer
    customer_id: CustomerNumber | None
    #: the customer's ID at that time
    customer: CustomerId
    plan_id: PlanId
    started_at: Moment
    finished_at: Moment
    actor: str
    outcome: str
    #: numbers of rows by kind and action, as in the plan's JSON; empty if they cannot be read
    counts: Mapping[str, object]
    git_commit: str | None
    #: ids of the approved holds; empty if they cannot be read
    approvals: tuple[HoldId, ...]
    source_sha256: str | None
    settings_digest: str | None
    #: the run that this one undoes
    undoes: RunId | None
    #: the digests of its before-images, combined; None for a run of an earlier version
    journal_digest: str | None
    previous_hash: str | None
    hash: str
