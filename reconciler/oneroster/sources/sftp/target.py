"""Describes the remote files that are the roster, as one listing found them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from reconciler.model.diagnostic import Diagnostic
from reconciler.oneroster.sources.sftp.listing import FileFacts


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file on the server."""

    #: as listed
    name: str
    #: absolute, without links
    path: str
    facts: FileFacts


@dataclass(frozen=True, slots=True)
class RemoteRoster:
    """The files that make the roster."""

    #: of the chosen file or of the folder, as configured
    path: str
    #: one ZIP, or the CSV files of a folder by name
    files: tuple[RemoteFile, ...]
    is_folder: bool
    #: SHA-256 by name, if a marker gave them
    digests: Mapping[str, str] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.facts.size for file in self.files)

    def is_same_as(self, other: Self) -> bool:
        """Return whether no file appeared, vanished or changed between two listings."""
        return (self.path, self.files, self.digests) == (other.path, other.files, other.digests)

    def find_difference(self, other: Self) -> str:
        """Return the name of the first file that differs."""
        then, now = set(self.files), set(other.files)
        return min((file.name for file in then ^ now), default=self.path)


class FileChangedError(Exception):
    """The file `name` changed during the fetch."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
