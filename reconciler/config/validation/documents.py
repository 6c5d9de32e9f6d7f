"""Converts models to the JSON-able documents that plans compare and the store saves, and back.

Defaults are filled in, secrets are references, dates and durations are text, keys are sorted, unset keys are left out.
A list whose items have an ID becomes a mapping keyed by it, so that items are compared one by one and their order means
nothing.
"""

from collections.abc import Iterator, Mapping

import orjson
from pydantic import BaseModel

from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.models.lesson import Lesson
from reconciler.config.yaml.tree import MappingNode, Node, SequenceNode, get_value_span
from reconciler.model.diagnostic import Span

JsonDocument = Mapping[str, object]

#: path of a list -> the key that identifies its items
ITEM_KEY_OF_LIST_PATH = {("administrators",): "username", ("lti", "platforms"): "id", ("join_links",): "role"}


def build_document(model: BaseModel) -> dict[str, object]:
    """Return the JSON-able form of a model."""
    document: dict[str, object] = model.model_dump(mode="json", exclude_none=True)
    for path, key in ITEM_KEY_OF_LIST_PATH.items():
        parent = _find_parent(document, path)
        items = parent.get(path[-1]) if parent is not None else None
        if parent is not None and isinstance(items, list):
            parent[path[-1]] = {item[key]: item for item in items}
    # orjson in both directions: sorting the keys in Python takes five times as long.
    ordered: dict[str, object] = orjson.loads(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
    return ordered


def parse_customer_document(document: JsonDocument) -> Customer:
    """Return the customer of a document that `build_document` made."""
    return Customer.model_validate(_restore_lists(document))


def parse_community_document(document: JsonDocument) -> Community:
    """Return the community of a document that `build_document` made."""
    return Community.model_validate(_restore_lists(document))


def parse_lesson_document(document: JsonDocument) -> Lesson:
    """Return the lesson of a document that `build_document` made."""
    return Lesson.model_validate(_restore_lists(document))


class ValueOrigins(Mapping[str, Span]):
    """Maps dotted paths to places. It is computed on first use, because most documents never need it."""

    __slots__ = ("_computed_spans", "_tree")

    def __init__(self, tree: MappingNode) -> None:
        self._tree = tree
        self._computed_spans: dict[str, Span] | None = None

    @property
    def _spans(self) -> dict[str, Span]:
        if self._computed_spans is None:
            self._computed_spans = dict(_iter_origins(self._tree, (), ""))
        return self._computed_spans

    def __getitem__(self, path: str) -> Span:
        return self._spans[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


def find_origins(tree: MappingNode) -> ValueOrigins:
    """Return the place of each value by its dotted path; an item of a list without IDs has its position, from 0."""
    return ValueOrigins(tree)


def _iter_origins(node: MappingNode, path: tuple[str, ...], prefix: str) -> Iterator[tuple[str, Span]]:
    for name, value in node.items():
        if value is None:
            continue
        dotted = prefix + name
        yield dotted, get_value_span(node.places[name])
        here = (*path, name)
        if isinstance(value, MappingNode):
            yield from _iter_origins(value, here, dotted + ".")
        elif isinstance(value, SequenceNode) and here in ITEM_KEY_OF_LIST_PATH:
            for item, place in zip(value, value.places, strict=True):
                identity = _get_item_id(item, ITEM_KEY_OF_LIST_PATH[here])
                if identity is not None and isinstance(item, MappingNode):
                    yield f"{dotted}.{identity}", get_value_span(place)
                    yield from _iter_origins(item, (*here, identity), f"{dotted}.{identity}.")
        elif isinstance(value, SequenceNode):
            for number, place in enumerate(value.places):
                yield f"{dotted}.{number}", get_value_span(place)


def _get_item_id(item: Node, key: str) -> str | None:
    value = item.get(key) if isinstance(item, MappingNode) else None
    return value if isinstance(value, str) else None


def _find_parent(document: dict[str, object], path: tuple[str, ...]) -> dict[str, object] | None:
    node = document
    for part in path[:-1]:
        below = node.get(part)
        if not isinstance(below, dict):
            return None
        node = below
    return node


def _restore_lists(document: JsonDocument) -> dict[str, object]:
    restored = {key: dict(value) if isinstance(value, Mapping) else value for key, value in document.items()}
    for path in ITEM_KEY_OF_LIST_PATH:
        parent = _find_parent(restored, path)
        items = parent.get(path[-1]) if parent is not None else None
        if parent is not None and isinstance(items, Mapping):
            parent[path[-1]] = list(items.values())
    return restored
