"""Keys that are checked now and come into force later: a person who sets one is told, and never misled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.config.fields.values import ID_PATTERN
from reconciler.config.yaml.tree import MappingNode, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, build_warning

FORTHCOMING: dict[str, tuple[tuple[str, ...], ...]] = {
    "customer": (),
    "community": (),
    "lesson": (),
    "settings": (("operators",),),
}


def warn_about_forthcoming_keys(kind: str, tree: MappingNode) -> Iterator[Diagnostic]:
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
                yield build_warning(
                    "not-yet-in-force",
                    f"{'.'.join([*parents, key])} is checked, but has no effect yet",
                    get_key_span(node.places[key]),
                )


# Secrets that stand where everybody who reads the files can read them, in a value that may hold one.


def warn_about_store_passwords(tree: MappingNode) -> Iterator[Diagnostic]:
    """A warning for each store whose URL holds a password: everybody who reads the files can read it. tree: of
    reconciler.yaml, valid or not."""
    environments = tree.get("environments")
    for name, environment in environments.items() if isinstance(environments, MappingNode) else ():
        store = environment.get("store") if isinstance(environment, MappingNode) else None
        if isinstance(environment, MappingNode) and isinstance(store, str) and _has_password(store):
            of = f" of {name}" if re.fullmatch(ID_PATTERN, name) else ""
            yield build_warning(
                "password-in-url",
                f"the store{of} holds a password",
                get_value_span(environment.places["store"]),
                "give it by PGPASSWORD, ~/.pgpass or RECONCILER_STORE, and change it: it was in a file",
            )


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
