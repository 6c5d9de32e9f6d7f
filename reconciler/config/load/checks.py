"""Warns about keys without effect yet, and about passwords in store URLs."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.config.fields.values import ID_PATTERN
from reconciler.config.yaml.tree import MappingNode, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, build_warning

#: kind of document -> paths of keys that are validated but have no effect yet
FORTHCOMING: dict[str, tuple[tuple[str, ...], ...]] = {
    "customer": (),
    "community": (),
    "lesson": (),
    "settings": (("operators",),),
}


def warn_about_forthcoming_keys(kind: str, tree: MappingNode) -> Iterator[Diagnostic]:
    """Yield a warning for each key that is set but has no effect yet."""
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
                    f"{'.'.join([*parents, key])} is validated but has no effect yet",
                    get_key_span(node.places[key]),
                )


def warn_about_store_passwords(tree: MappingNode) -> Iterator[Diagnostic]:
    """Yield a warning for each store URL with a password, which everybody who can read the files can read.

    tree: of reconciler.yaml, valid or not.
    """
    environments = tree.get("environments")
    for name, environment in environments.items() if isinstance(environments, MappingNode) else ():
        store = environment.get("store") if isinstance(environment, MappingNode) else None
        if isinstance(environment, MappingNode) and isinstance(store, str) and _has_password(store):
            of = f" of {name}" if re.fullmatch(ID_PATTERN, name) else ""
            yield build_warning(
                "password-in-url",
                f"the store URL{of} contains a password",
                get_value_span(environment.places["store"]),
                "Change the password (it was in a file), and set it in PGPASSWORD, ~/.pgpass or RECONCILER_STORE.",
            )


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
