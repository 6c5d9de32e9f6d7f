"""The interface of all sources: a fetch returns a OneRoster CSV bundle, which `oneroster.bundle` reads.

Rows of an API are first written to files of the standard, so that every check, line number and gate is the same for a
ZIP, an SFTP server and an API.
"""

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
    """Do nothing: the callback of a fetch that shows no progress."""


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
    """The request for one fetch."""

    #: moment of the fetch, ISO-8601 UTC
    fetched_at: Moment
    progress: ProgressCallback = ignore_progress
    #: False lets a source that is configured for it fetch only the changes since `earlier`
    require_full: bool = True
    earlier: PreviousRoster = PreviousRoster()


@dataclass(frozen=True, slots=True)
class SourceBundle:
    """A bundle that was fetched completely."""

    #: seekable, at its start; the file has no name and is gone when its receiver closes it
    stream: BinaryIO
    #: of the source: `zip`, `sftp` or `api`
    type: str
    #: a name for people, without secrets, such as `sftp.springfield.example:/out/roster.zip`
    name: str
    fetched_at: Moment
    #: remarks on the fetch
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """One finding of a probe about a server."""

    #: stable: lowercase words joined by hyphens, such as `page-clamp`
    name: str
    #: for programs and people
    value: str
    #: the consequence for a fetch
    remark: str = ""
    severity: Severity = Severity.INFO


class Source(Protocol):
    @property
    def host(self) -> str:
        """Return the host whose request limits apply."""

    def fetch(self, request: FetchRequest) -> SourceBundle:
        """Return the complete roster. May be called in any thread.

        Raises Refusal with every reason why there is no roster: a failed fetch never looks like an empty one, so
        nothing is compared and nothing is deleted.
        """

    def probe(self, request: FetchRequest) -> tuple[ProbeFinding, ...]:
        """Return the server's behavior, as far as a probe can tell without fetching everything.

        Raises Refusal if the server can't be reached.
        """
