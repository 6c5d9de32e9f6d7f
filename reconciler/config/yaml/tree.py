"""Defines the tree of a YAML document as written: dicts, lists and strings, each with its place.

Mappings and sequences are subclasses of dict and list, so that a validator reads them without a copy. A scalar is its
text as written (`02134` and `no` stay as they are; a field of a number parses it), or None for YAML's null.
"""

from typing import Protocol, TypeAlias

from reconciler.model.diagnostic import Span

Node: TypeAlias = "MappingNode | SequenceNode | str | None"


class Mark(Protocol):
    """A place as the parser gives it: line and column from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


#: (file, place of the key or list item, place of the value)
Place: TypeAlias = tuple[str, Mark, Mark]


class MappingNode(dict[str, Node]):
    """A mapping. `places` has an entry for each key, even if its null clears an inherited value."""

    __slots__ = ("place", "places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}


class SequenceNode(list[Node]):
    """A list. `places` has an entry for each item."""

    __slots__ = ("place", "places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []


def get_key_span(place: Place) -> Span:
    """Return the place of the key, or of the item of a list."""
    file, key, _ = place
    return Span(file, key.line + 1, key.column + 1)


def get_value_span(place: Place) -> Span:
    """Return the place of the value."""
    file, _, value = place
    return Span(file, value.line + 1, value.column + 1)


def find_place(tree: MappingNode, path: tuple[str | int, ...]) -> tuple[Place, Node, tuple[str | int, ...]]:
    """Return the deepest known place on a path, the node there, and the part of the path that exists.

    Parts that are not in the tree (the tag of a union, a missing key) are skipped.
    """
    node: Node = tree
    place = tree.place
    existing: list[str | int] = []
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str) and part in node.places:
            place = node.places[part]
            node = node.get(part)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node):
            place = node.places[part]
            node = node[part]
        else:
            continue
        existing.append(part)
    return place, node, tuple(existing)
