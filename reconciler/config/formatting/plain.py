"""Nodes as the trees that models read, and models' values as plain ones that can be compared and written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from pydantic import BaseModel

from reconciler.config.fields.values import duration_text
from reconciler.config.formatting.nodes import Mapping, Node, Scalar, Sequence, Style
from reconciler.config.formatting.order import keys_of
from reconciler.config.formatting.write import is_null
from reconciler.config.yaml.documents import KEYED
from reconciler.config.yaml.tree import MappingNode, Place, SequenceNode
from reconciler.config.yaml.tree import Node as TreeNode

#: name of a list whose order means nothing -> the key that names its items
NAMED_BY = {path[-1]: key for path, key in KEYED.items()}


@dataclass(frozen=True, slots=True)
class _Nowhere:
    line: int = 0
    column: int = 0


_PLACE: Place = ("", _Nowhere(), _Nowhere())


def tree_of(node: Node) -> TreeNode:
    """The tree that the reader would make of it, without places."""
    if isinstance(node, Scalar):
        return None if is_null(node) else node.value
    if isinstance(node, Sequence):
        items = SequenceNode(_PLACE)
        items.extend(tree_of(item.value) for item in node.entries)
        items.places = [_PLACE] * len(items)
        return items
    tree = MappingNode(_PLACE)
    tree.update({entry.name: tree_of(entry.value) for entry in node.entries})
    tree.places = dict.fromkeys(tree, _PLACE)
    return tree


def plain(value: object, name: str = "") -> object:
    """A model's value to compare: unset keys left out, lists whose order means nothing by their items' names."""
    match value:
        case BaseModel():
            of = {key: getattr(value, _attribute(value, key)) for key in keys_of(type(value))}
            return {key: plain(each, key) for key, each in of.items() if each is not None}
        case tuple() if name in NAMED_BY:
            return {str(getattr(item, NAMED_BY[name])): plain(item) for item in value}
        case tuple():
            return [plain(item) for item in value]
        case timedelta():
            return duration_text(value)
        case date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case _:
            return value


def scalar_of(value: object) -> Scalar:
    """The scalar that a model's value is written as: days and numbers without quotes, texts with them where needed."""
    match value:
        case bool():
            return Scalar("true" if value else "false", Style.PLAIN)
        case int():
            return Scalar(str(value), Style.PLAIN)
        case date():
            return Scalar(value.isoformat(), Style.PLAIN)
        case _:
            return Scalar(str(plain(value)), Style.QUOTED)


def null() -> Scalar:
    return Scalar("null", Style.PLAIN)


def flowing(node: Node) -> Node:
    """The node, in braces or brackets where it is short and holds nothing but scalars."""
    if isinstance(node, Sequence):
        node.flow = all(isinstance(item.value, Scalar) for item in node.entries)
    elif isinstance(node, Mapping):
        short = len(node.entries) <= _SHORT
        node.flow = short and all(_is_small(entry.value) for entry in node.entries)
    return node


#: a mapping of more keys than these is written in lines
_SHORT = 4


def _is_small(node: Node) -> bool:
    return isinstance(node, Scalar) or node.flow or not node.entries


def _attribute(model: BaseModel, key: str) -> str:
    fields = type(model).model_fields
    return key if key in fields else next(name for name, field in fields.items() if field.alias == key)
