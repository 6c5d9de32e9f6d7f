"""Converts nodes to trees that models read, and the values of models to plain ones to compare and write."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from pydantic import BaseModel

from reconciler.config.formatting.nodes import ScalarStyle, SyntaxMapping, SyntaxNode, SyntaxScalar, SyntaxSequence
from reconciler.config.formatting.order import get_fields_by_key
from reconciler.config.formatting.write import is_null
from reconciler.config.validation.documents import ITEM_KEY_OF_LIST_PATH
from reconciler.config.yaml.tree import MappingNode, Place, SequenceNode
from reconciler.config.yaml.tree import Node as TreeNode
from reconciler.model.moment import format_duration

#: name of a list whose order means nothing -> the key that identifies its items
ITEM_KEY_OF_LIST = {path[-1]: key for path, key in ITEM_KEY_OF_LIST_PATH.items()}


@dataclass(frozen=True, slots=True)
class _NoMark:
    line: int = 0
    column: int = 0


_PLACE: Place = ("", _NoMark(), _NoMark())


def build_tree(node: SyntaxNode) -> TreeNode:
    """Return the tree that the reader would make of a node, without places."""
    if isinstance(node, SyntaxScalar):
        return None if is_null(node) else node.value
    if isinstance(node, SyntaxSequence):
        items = SequenceNode(_PLACE)
        items.extend(build_tree(item.value) for item in node.entries)
        items.places = [_PLACE] * len(items)
        return items
    tree = MappingNode(_PLACE)
    tree.update({entry.name: build_tree(entry.value) for entry in node.entries})
    tree.places = dict.fromkeys(tree, _PLACE)
    return tree


def convert_to_plain(value: object, name: str = "") -> object:
    """Return a model's value in a form to compare: without unset keys; a list whose order means nothing by its items'
    names."""
    match value:
        case BaseModel():
            of = {key: getattr(value, _get_attribute_name(value, key)) for key in get_fields_by_key(type(value))}
            return {key: convert_to_plain(each, key) for key, each in of.items() if each is not None}
        case tuple() if name in ITEM_KEY_OF_LIST:
            return {str(getattr(item, ITEM_KEY_OF_LIST[name])): convert_to_plain(item) for item in value}
        case tuple():
            return [convert_to_plain(item) for item in value]
        case timedelta():
            return format_duration(value)
        case date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case _:
            return value


def build_scalar(value: object) -> SyntaxScalar:
    """Return the scalar for a model's value: dates and numbers without quotes, strings with quotes if needed."""
    match value:
        case bool():
            return SyntaxScalar("true" if value else "false", ScalarStyle.PLAIN)
        case int():
            return SyntaxScalar(str(value), ScalarStyle.PLAIN)
        case date():
            return SyntaxScalar(value.isoformat(), ScalarStyle.PLAIN)
        case _:
            return SyntaxScalar(str(convert_to_plain(value)), ScalarStyle.QUOTED)


def build_null() -> SyntaxScalar:
    return SyntaxScalar("null", ScalarStyle.PLAIN)


def set_flow_style(node: SyntaxNode) -> SyntaxNode:
    """Return the node, in braces or brackets if it is short and contains only scalars."""
    if isinstance(node, SyntaxSequence):
        node.flow = all(isinstance(item.value, SyntaxScalar) for item in node.entries)
    elif isinstance(node, SyntaxMapping):
        short = len(node.entries) <= _SHORT
        node.flow = short and all(_is_small(entry.value) for entry in node.entries)
    return node


#: a mapping with more keys is written in lines
_SHORT = 4


def _is_small(node: SyntaxNode) -> bool:
    return isinstance(node, SyntaxScalar) or node.flow or not node.entries


def _get_attribute_name(model: BaseModel, key: str) -> str:
    fields = type(model).model_fields
    return key if key in fields else next(name for name, field in fields.items() if field.alias == key)
