"""Keys that are checked now and come into force later: a person who sets one is told, and never misled."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.config.tree import MappingNode, key_span
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
