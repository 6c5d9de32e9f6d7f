"""Folder for files that may be lost, outside every repository: pages of interrupted fetches."""

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "RECONCILER_CACHE"
OFF = "off"


def find_cache_folder(variables: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder, or None if caching is off or there is no home directory to put it in."""
    chosen = variables.get(VARIABLE, "")
    if chosen == OFF:
        return None
    if chosen:
        return Path(chosen)
    if os.path.isabs(variables.get("XDG_CACHE_HOME", "")):
        return Path(variables["XDG_CACHE_HOME"], "reconciler")
    if variables.get("HOME"):
        return Path(variables["HOME"], ".cache", "reconciler")
    return None
