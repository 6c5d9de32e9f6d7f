"""What one look at a server found: the files that are the roster, and how they were at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.diagnostic import Diagnostic
from reconciler.oneroster.sources.sftp.listing import FileFacts


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """path: absolute, no part of it a link. name: its last part as it was listed."""

    name: str
    path: str
    facts: FileFacts


@dataclass(frozen=True, slots=True)
class RemoteRoster:
    """path: of the file that was taken or of the folder, as it is configured. files: one, or the CSV files of a folder
    by name. digests: SHA-256 by name, where a marker gave them."""

    path: str
    files: tuple[RemoteFile, ...]
    is_folder: bool
    digests: Mapping[str, str] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.facts.size for file in self.files)

    def is_same_as(self, other: RemoteRoster) -> bool:
        """Whether nothing came, went or changed between two looks."""
        return (self.path, self.files, self.digests) == (other.path, other.files, other.digests)

    def find_difference(self, other: RemoteRoster) -> str:
        """The name of the first file that is not as it was."""
        then, now = set(self.files), set(other.files)
        return min((file.name for file in then ^ now), default=self.path)


class FileChangedError(Exception):
    """A file is not as it was a moment ago. name: which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
