"""Pages that fetches left behind outside the store: encrypted, but full of people who may be gone."""

from __future__ import annotations

from reconciler.config.remembered import cache_folder
from reconciler.operations.fetching import CHECKPOINTS


def forget_kept_pages() -> None:
    """Of every fetch that is not under way on this machine, whoever it is about: that cannot be told from outside, and
    all that they save is time."""
    folder = cache_folder()
    if folder is not None and (folder / CHECKPOINTS).is_dir():
        from reconciler.oneroster.sources.api.checkpoint import remove_all

        remove_all(folder / CHECKPOINTS)
