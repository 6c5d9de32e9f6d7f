"""The one interface of all sources: a fetch gives a OneRoster CSV bundle, which one reader reads (`oneroster.bundle`).

There is no second way from a source to a snapshot: rows of an API are written into the standard's files first, so that
every check, every line number and every gate is the same for a ZIP, an SFTP server and an API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.ids import Moment


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Progress of a fetch, for a progress bar."""

    #: being fetched, such as `users` or a file's name
    part: str
    #: bytes of an SFTP transfer, rows of an API's collection
    done: int
    #: None if unknown
    total: int | None
    unit: str
    #: of an API, so far
    pages: int = 0


ProgressCallback = Callable[[FetchProgress], object]


def ignore_progress(_: FetchProgress) -> None:
    """For whoever does not want to know."""


@dataclass(frozen=True, slots=True)
class PreviousRoster:
    """Facts of the last good roster of this source; None where unknown."""

    #: the newest dateLastModified, as its source wrote it
    since: str | None = None
    #: when the full roster was fetched last, ISO-8601 UTC
    whole_at: Moment | None = None
    #: data rows by file stem, as stored now
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One fetch. fetched_at: its moment, ISO-8601 UTC. whole: False allows a source to ask only for what changed since
    `earlier`, where it is configured so."""

    fetched_at: Moment
    progress: ProgressCallback = ignore_progress
    require_full: bool = True
    earlier: PreviousRoster = PreviousRoster()


@dataclass(frozen=True, slots=True)
class SourceBundle:
    """A bundle that was fetched whole.

    stream: at its start, seekable; its file has no name any more and is gone when it is closed, by whoever was given
    this. type: of the source (`zip`, `sftp`, `api`). name: what people know it by, without secrets, such as
    `sftp.springfield.example:/out/roster.zip`. diagnostics: what was noticed on the way.
    """

    stream: BinaryIO
    type: str
    name: str
    fetched_at: Moment
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """One thing that a probe found out about a server. name: stable, lower-case words joined by hyphens, such as
    `page-clamp`; value: for machines and people; remark: what it means for a fetch."""

    name: str
    value: str
    remark: str = ""
    severity: Severity = Severity.INFO


class Source(Protocol):
    @property
    def host(self) -> str:
        """Return the host whose limits of politeness apply."""

    def fetch(self, request: FetchRequest) -> SourceBundle:
        """The whole roster, or Refusal with every reason why there is none. A failed fetch never looks like an empty
        one: nothing is compared then, and so nothing is deleted. May be called in a thread of its own."""

    def probe(self, request: FetchRequest) -> tuple[ProbeFinding, ...]:
        """Return what this server does, as far as a probe can tell without fetching everything.

        Raises Refusal if the server can't be reached.
        """
