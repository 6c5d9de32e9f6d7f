"""A YAML document as it was written: plain dicts, lists and texts, each value knowing its place.

Mappings and sequences are subclasses of dict and list, so that a validator reads them as they are and no
second copy is made. A scalar is its text as written (`02134` and `no` stay what they are; a field that wants
a number parses it), or None for YAML's null.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from reconciler.model.diagnostic import Span

Node: TypeAlias = "MappingNode | SequenceNode | str | None"


class Mark(Protocol):
    """A place as the parser gives it: line and column from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


#: file, where the key stands (an item of a list: where the item stands), where the value stands
Place: TypeAlias = tuple[str, Mark, Mark]


class MappingNode(dict[str, Node]):
    """`places` has an entry for each key, also for one whose null unset what it would inherit."""

    __slots__ = ("place", "places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}


class SequenceNode(list[Node]):
    __slots__ = ("place", "places")

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []


def get_key_span(place: Place) -> Span:
    file, key, _ = place
    return Span(file, key.line + 1, key.column + 1)


def get_value_span(place: Place) -> Span:
    file, _, value = place
    return Span(file, value.line + 1, value.column + 1)


def find_place(tree: MappingNode, path: tuple[str | int, ...]) -> tuple[Place, Node, tuple[str | int, ...]]:
    """The deepest known place on a path, what stands there, and the part of the path that was found.

    Parts that are not in the tree (the tag of a union, a key that is missing) are passed over.
    """
    node: Node = tree
    place = tree.place
    found: list[str | int] = []
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str) and part in node.places:
            place = node.places[part]
            node = node.get(part)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node):
            place = node.places[part]
            node = node[part]
        else:
            continue
        found.append(part)
    return place, node, tuple(found)
