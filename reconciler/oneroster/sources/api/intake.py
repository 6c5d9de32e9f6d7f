"""Where the rows of one collection go as its pages come: into its files, and past whoever has to look at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from reconciler.oneroster.sources.api.bundle_writer import BundleWriter
from reconciler.oneroster.sources.api.collections import Collection
from reconciler.oneroster.sources.api.delta import Changes, Since, changed, with_lost_roles
from reconciler.oneroster.sources.api.envelope import Frames
from reconciler.oneroster.sources.api.tally import Missing


class Intake(Protocol):
    def begin(self) -> None:
        """Before the first page, and again where all that was added so far does not count."""

    def add(self, frames: Frames) -> None:
        """A page's rows, once."""


@dataclass(frozen=True, slots=True)
class Everything:
    """missing: looks at enrollments."""

    collection: Collection
    writer: BundleWriter
    missing: Missing | None = None

    def begin(self) -> None:
        self.writer.begin(self.collection.files)
        if self.missing is not None:
            self.missing.forget()

    def add(self, frames: Frames) -> None:
        if self.missing is not None:
            self.missing.look(frames[self.collection.name])
        self.writer.add(frames)


@dataclass(slots=True)
class OnlyChanged:
    collection: Collection
    writer: BundleWriter
    since: Since
    changes: Changes = field(default_factory=Changes)

    def begin(self) -> None:
        self.writer.begin(self.collection.files)
        self.changes = Changes()

    def add(self, frames: Frames) -> None:
        kept = changed(frames, self.since)
        self.changes.add(kept[self.collection.name])
        self.writer.add(with_lost_roles(kept) if self.collection.nested else kept)
