"""Pages that were fetched already, kept encrypted so that a fetch that was killed goes on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """folder: made when it is needed, mode 0700. key: 32 bytes."""

    folder: Path
    key: bytes = field(repr=False)
