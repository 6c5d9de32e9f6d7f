"""Edits a document so that, merged with what it inherits, it has the values of a model, with as few changes as
possible.

An inherited value that is already right is left out, an inherited value to be cleared becomes null, and a built-in
default is not written.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.config.formatting.nodes import (
    SyntaxEntry,
    SyntaxMapping,
    SyntaxNode,
    SyntaxScalar,
    SyntaxSequence,
    iter_entry_comments,
    iter_node_comments,
)
from reconciler.config.formatting.order import get_fields_by_key
from reconciler.config.formatting.plain import (
    ITEM_KEY_OF_LIST,
    build_null,
    build_scalar,
    build_tree,
    convert_to_plain,
    set_flow_style,
)
from reconciler.config.load.document import merge_inherited, remove_nulls
from reconciler.config.validation.model_keys import TAG_KEYS, ModelClass
from reconciler.config.validation.partial_document import make_single_field_model
from reconciler.config.yaml.tree import MappingNode
from reconciler.config.yaml.tree import Node as TreeNode


def set_key(mapping: SyntaxMapping, name: str, value: SyntaxNode) -> None:
    """Set a key. Comments inside the old value move above the key; comments of the key stay."""
    entry = mapping.get_entry(name)
    if entry is None:
        mapping.entries.append(SyntaxEntry(SyntaxScalar(name), value))
    elif entry.value is not value:
        new_comments = set(iter_node_comments(value))
        entry.lines_above += [line for line in iter_node_comments(entry.value) if line not in new_comments]
        entry.value = value


def drop_entry(collection: SyntaxMapping | SyntaxSequence, entry: SyntaxEntry) -> None:
    """Remove an entry. Its comments move above the next entry, or to the foot."""
    place = next(number for number, each in enumerate(collection.entries) if each is entry)
    del collection.entries[place]
    comments = list(iter_entry_comments(entry))
    if place < len(collection.entries):
        collection.entries[place].lines_above[:0] = comments
    else:
        collection.foot[:0] = comments


#: stands for an invalid value; equal to no value
_NOT_VALID = object()


def update_mapping(mapping: SyntaxMapping, wanted: BaseModel, inherited: MappingNode | None) -> None:
    """Change a document's mapping so that, merged with `inherited`, it has the values of `wanted`.

    Keys that the model does not know stay; whoever validates the result reports them.
    """
    model = type(wanted)
    for key, field in get_fields_by_key(model).items():
        name = next(each for each, known in model.model_fields.items() if known is field)
        key_state = _KeyState(
            model, name, key, mapping.get_entry(key), inherited.get(key) if inherited is not None else None
        )
        _update_key(mapping, key_state, getattr(wanted, name))
    for key in inherited or ():
        # A key of another type, which this mapping would inherit.
        if key not in get_fields_by_key(model) and inherited is not None and inherited[key] is not None:
            set_key(mapping, key, build_null())


class _KeyState:
    """The state of one key of a mapping: its own entry and what it inherits."""

    def __init__(self, model: ModelClass, name: str, key: str, entry: SyntaxEntry | None, inherited: TreeNode) -> None:
        self._model = model
        self._name = name
        self.key = key
        self.entry = entry
        self.inherited = inherited

    def compute_value(self, *, without_own: bool = False) -> object:
        """Return the value as `convert_to_plain` does, None if it is unset, `_NOT_VALID` if it is invalid.

        without_own: use only the inherited value.
        """
        tree = remove_nulls(self._merge_inherited(without_own=without_own))
        try:
            validated = make_single_field_model(self._model, self._name).model_validate(
                {} if tree is None else {self.key: tree}
            )
        except ValidationError:
            return _NOT_VALID
        return convert_to_plain(getattr(validated, self._name), self.key)

    def _merge_inherited(self, *, without_own: bool) -> TreeNode:
        if self.entry is None or without_own:
            return self.inherited
        own = build_tree(self.entry.value)
        if isinstance(own, MappingNode) and isinstance(self.inherited, MappingNode):
            return merge_inherited(own, self.inherited)
        return own


def _update_key(mapping: SyntaxMapping, key_state: _KeyState, value: object) -> None:
    entry = key_state.entry
    if key_state.compute_value() == convert_to_plain(value, key_state.key):
        return
    if value is None:
        if key_state.inherited is not None:
            set_key(mapping, key_state.key, build_null())
        elif entry is not None:
            drop_entry(mapping, entry)
    elif (
        entry is not None
        and key_state.inherited is not None
        and key_state.compute_value(without_own=True) == convert_to_plain(value, key_state.key)
    ):
        drop_entry(mapping, entry)
    elif isinstance(value, BaseModel):
        set_key(mapping, key_state.key, _build_mapping(value, entry.value if entry else None, key_state.inherited))
    elif isinstance(value, tuple):
        set_key(mapping, key_state.key, _build_sequence(value, entry.value if entry else None, key_state.key))
    else:
        set_key(mapping, key_state.key, build_scalar(value))


def _build_mapping(wanted: BaseModel, own: SyntaxNode | None, inherited: TreeNode) -> SyntaxNode:
    """Return the file's mapping with the wanted values, or a new one if it has another type or there is none."""
    tag = _get_model_tag(wanted)
    above = inherited if isinstance(inherited, MappingNode) else None
    other_above = above is not None and tag is not None and above.get(tag[0]) not in (None, tag[1])
    if other_above:
        above = None
    keeps_own = isinstance(own, SyntaxMapping) and _is_same_type(own, tag, other_above=other_above)
    mapping = own if keeps_own and isinstance(own, SyntaxMapping) else SyntaxMapping()
    update_mapping(mapping, wanted, above)
    if tag is not None and mapping.get_entry(tag[0]) is None and (above is None or above.get(tag[0]) is None):
        # Even if it is the default: otherwise the type of the keys would be unknown, or an inherited one.
        set_key(mapping, tag[0], build_scalar(tag[1]))
    return mapping if keeps_own else set_flow_style(mapping)


def _is_same_type(own: SyntaxMapping, tag: tuple[str, str] | None, *, other_above: bool) -> bool:
    """Return whether the file's mapping has the wanted type, set by itself or inherited."""
    entry = own.get_entry(tag[0]) if tag else None
    return tag is None or (build_tree(entry.value) == tag[1] if entry else not other_above)


def _build_sequence(wanted: tuple[Any, ...], own: SyntaxNode | None, key: str) -> SyntaxNode:
    """Return the list with the wanted items. Items that stay keep their comments.

    A list whose order means nothing keeps the file's order, new items last; any other list gets the model's order.
    """
    before = list(own.entries) if isinstance(own, SyntaxSequence) else []
    sequence = SyntaxSequence(own.flow if isinstance(own, SyntaxSequence) else False)
    by_name = {str(getattr(item, ITEM_KEY_OF_LIST[key])): item for item in wanted} if key in ITEM_KEY_OF_LIST else None
    if by_name is not None:
        sequence.entries = list(_update_named_items(by_name, before, ITEM_KEY_OF_LIST[key]))
    else:
        sequence.entries = [_find_or_create_entry(item, before, sequence.entries) for item in wanted]
    remaining = {id(entry) for entry in sequence.entries}
    orphaned_comments = [line for entry in before if id(entry) not in remaining for line in iter_entry_comments(entry)]
    sequence.foot = [*orphaned_comments, *own.foot] if isinstance(own, SyntaxSequence) else []
    return sequence if isinstance(own, SyntaxSequence) else set_flow_style(sequence)


def _update_named_items(wanted: dict[str, Any], before: list[SyntaxEntry], named_by: str) -> Iterator[SyntaxEntry]:
    remaining = dict(wanted)
    for entry in before:
        tree = build_tree(entry.value)
        name = tree.get(named_by) if isinstance(tree, MappingNode) else None
        item = remaining.pop(name, None) if isinstance(name, str) else None
        if item is not None and isinstance(entry.value, SyntaxMapping):
            update_mapping(entry.value, item, None)
            yield entry
    for item in remaining.values():
        yield SyntaxEntry(None, _build_item(item))


def _find_or_create_entry(item: object, before: list[SyntaxEntry], used: list[SyntaxEntry]) -> SyntaxEntry:
    """Return the first entry with the item's value that is not in `used`, or a new one."""
    for entry in before:
        if all(entry is not each for each in used) and _matches_item(entry, item):
            return entry
    return SyntaxEntry(None, _build_item(item))


def _matches_item(entry: SyntaxEntry, item: object) -> bool:
    tree = build_tree(entry.value)
    if not isinstance(item, BaseModel):
        return tree == str(convert_to_plain(item))
    try:
        return convert_to_plain(type(item).model_validate(tree)) == convert_to_plain(item)
    except ValidationError:
        return False


def _build_item(item: object) -> SyntaxNode:
    if not isinstance(item, BaseModel):
        return build_scalar(item)
    mapping = SyntaxMapping()
    update_mapping(mapping, item, None)
    return set_flow_style(mapping)


def _get_model_tag(model: BaseModel) -> tuple[str, str] | None:
    """Return the (key, value) by which a model is chosen among others; None if there is no choice."""
    for key in TAG_KEYS:
        if key in type(model).model_fields:
            return key, str(getattr(model, key))
    return None
