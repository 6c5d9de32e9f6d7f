"""The place that a verb works in: a directory of customer files, an environment and its store."""

from dataclasses import dataclass
from pathlib import Path


# This module imports nothing heavy: verbs that need no store take a location too.
@dataclass(frozen=True, slots=True)
class Location:
    #: with the customer files; reconciler.yaml is next to it
    directory: Path
    #: the environment's name in reconciler.yaml; None for the first
    environment: str | None = None
    #: store URL; None for the environment's
    store: str | None = None
