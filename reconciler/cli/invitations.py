"""Hand over invitation links: on a terminal, or else in files that only their owner can read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model.ids import CustomerId, RunId
from reconciler.operations.apply import Invitation


def format_invitations(invitations: Iterable[Invitation]) -> list[str]:
    """Return the lines for a terminal."""
    lines = [f"    {each.username}: {each.link}" for each in invitations]
    return ["invitation links, shown only once and valid for 14 days:", *lines] if lines else []


def write_invitations(stem: str, invitations: Iterable[Invitation]) -> Path:
    """Write links to a new file of mode 0600 in the current folder, and return its path once they are on disk.

    stem: of the file's name. Raises OSError; then there is no file."""
    path, descriptor = _create_unique_file(stem)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{each.username}: {each.link}\n" for each in invitations)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


@dataclass(frozen=True, slots=True)
class InvitationFiles:
    """The files of an apply without a terminal: one for each customer, written before its run commits."""

    paths: dict[CustomerId, Path] = field(default_factory=dict)

    def write(self, customer: CustomerId, run: RunId, invitations: Sequence[Invitation]) -> None:
        """Write the file of a customer. Raises OSError."""
        self.paths[customer] = write_invitations(f"invitations-{customer}-run-{run}", invitations)

    def discard(self, customer: CustomerId) -> None:
        """Delete the file of a customer whose run was not written, since its links lead nowhere."""
        path = self.paths.pop(customer, None)
        if path is not None:
            path.unlink(missing_ok=True)


def _create_unique_file(stem: str) -> tuple[Path, int]:
    """Create a file under the first free name; never overwrite one."""
    number = 1
    while True:
        path = Path(f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
