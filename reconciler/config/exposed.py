"""Secrets that stand where everybody who reads the files can read them, in a value that may hold one."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.config.models.settings import Settings
from reconciler.config.tree import MappingNode, place_at, value_span
from reconciler.model.diagnostic import Diagnostic, warning


def passwords_in_stores(settings: Settings, tree: MappingNode) -> Iterator[Diagnostic]:
    """A warning for each store whose URL holds a password: everybody who reads the files can read it."""
    for name, environment in settings.environments.items():
        if urlsplit(environment.store).password:
            where, _, _ = place_at(tree, ("environments", name, "store"))
            yield warning(
                "password-in-url",
                f"the store of {name} holds a password",
                value_span(where),
                "give it by PGPASSWORD, ~/.pgpass or RECONCILER_STORE, and change it: it was in a file",
            )
