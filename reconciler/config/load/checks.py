"""Keys that are checked now and come into force later: a person who sets one is told, and never misled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.config.fields.values import ID
from reconciler.config.yaml.tree import MappingNode, key_span, value_span
from reconciler.model.diagnostic import Diagnostic, warning

FORTHCOMING: dict[str, tuple[tuple[str, ...], ...]] = {
    "customer": (),
    "community": (),
    "lesson": (),
    "settings": (("operators",),),
}


def not_yet_in_force(kind: str, tree: MappingNode) -> Iterator[Diagnostic]:
    """One warning for each such key that says something, where it was written."""
    for *parents, key in FORTHCOMING[kind]:
        node = tree
        for parent in parents:
            below = node.get(parent)
            if not isinstance(below, MappingNode):
                break
            node = below
        else:
            if node.get(key):
                yield warning(
                    "not-yet-in-force",
                    f"{'.'.join([*parents, key])} is checked, but has no effect yet",
                    key_span(node.places[key]),
                )


# Secrets that stand where everybody who reads the files can read them, in a value that may hold one.


def passwords_in_stores(tree: MappingNode) -> Iterator[Diagnostic]:
    """A warning for each store whose URL holds a password: everybody who reads the files can read it. tree: of
    reconciler.yaml, valid or not."""
    environments = tree.get("environments")
    for name, environment in environments.items() if isinstance(environments, MappingNode) else ():
        store = environment.get("store") if isinstance(environment, MappingNode) else None
        if isinstance(environment, MappingNode) and isinstance(store, str) and _has_password(store):
            of = f" of {name}" if re.fullmatch(ID, name) else ""
            yield warning(
                "password-in-url",
                f"the store{of} holds a password",
                value_span(environment.places["store"]),
                "give it by PGPASSWORD, ~/.pgpass or RECONCILER_STORE, and change it: it was in a file",
            )


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
