"""What a reader hands out of the store's small tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from reconciler.model.kind import Kind
from reconciler.store.json_text import parse_stored_document


# no slots: of most customers nobody asks for the document
@dataclass(frozen=True)
class CustomerRecord:
    """A customer as last applied. text: its document, as JSON. version: (last run's id or 0, write counter).
    settings_digest: None once another hand changed the customer, a community or a lesson of it. inputs: a digest of the
    files it was read from. written_text: the document as a run wrote it last, where that is known."""

    id: int
    slug: str
    name: str
    text: str
    settings_digest: str | None
    version: tuple[int, int]
    tombstoned: bool
    inputs: str | None = None
    written_text: str | None = None

    @cached_property
    def document(self) -> Mapping[str, object]:
        """Empty where another hand made something of it that is no document."""
        return parse_stored_document(self.text) or {}

    @property
    def altered(self) -> bool:
        """Whether the document is not as its run wrote it, or nobody knows."""
        return self.text != self.written_text

    @cached_property
    def written(self) -> Mapping[str, object] | None:
        """What the run wrote, where that is known and the document is altered."""
        return parse_stored_document(self.written_text) if self.altered and self.written_text is not None else None


@dataclass(frozen=True, slots=True)
class CatalogRecord:
    """The shared lessons as a whole; version and settings_digest as in CustomerRecord."""

    settings_digest: str | None
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A community or lesson as last applied. altered, written: as of a CustomerRecord."""

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
    """Where the last good roster came from. version: of OneRoster. rows: data rows by file stem. facts: what later
    sources are judged by."""

    run_id: int
    type: str
    name: str
    version: str
    sha256: str
    fetched_at: str
    complete: bool
    rows: Mapping[str, int]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What the next source is judged by. rows: by file stem. facts: as the plan that applied it wrote them."""

    sha256: str
    fetched_at: str
    rows: Mapping[str, int]
    facts: Mapping[str, Any]


class HoldScope(StrEnum):
    """The part of a customer that a hold keeps back: its roster or its documents."""

    ROSTER = "roster"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """kept: a plan of exactly this hold is in the store."""

    customer: str
    id: str
    people: int
    rows: int
    causes: tuple[str, ...]
    plan_id: str
    created_at: str
    has_plan: bool = False


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One apply. customer: the id that it had then; customer_id: its row, None for the catalogue and what was erased.
    counts: action by kind, as in the plan's JSON. approvals: ids of the holds it released. undoes: the run that it took
    back."""

    id: int
    customer_id: int | None
    customer: str
    plan_id: str
    started_at: str
    finished_at: str
    actor: str
    outcome: str
    counts: Mapping[str, object]
    git_commit: str | None
    approvals: tuple[str, ...]
    source_sha256: str | None
    settings_digest: str | None
    undoes: int | None
    previous_hash: str | None
    hash: str
