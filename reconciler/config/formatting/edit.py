"""Makes a document say what a model says, over what it inherits, by changing only what does not say so already.

What is inherited as it should be is left out, what is inherited and unset is null, and what equals a built-in default
is not written down anew.
"""

from __future__ import annotations

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

# Changing a document without losing a comment: of what goes, the comments stay where it stood.


def set_key(mapping: SyntaxMapping, name: str, value: SyntaxNode) -> None:
    """Sets a key. A value that it had takes its comments inside above the key; those of the key stay."""
    entry = mapping.get_entry(name)
    if entry is None:
        mapping.entries.append(SyntaxEntry(SyntaxScalar(name), value))
    elif entry.value is not value:
        kept = set(iter_node_comments(value))
        entry.lines_above += [line for line in iter_node_comments(entry.value) if line not in kept]
        entry.value = value


def drop_entry(collection: SyntaxMapping | SyntaxSequence, entry: SyntaxEntry) -> None:
    """Takes an entry out. Its comments stand above the next one then, or at the foot."""
    place = next(number for number, each in enumerate(collection.entries) if each is entry)
    del collection.entries[place]
    kept = list(iter_entry_comments(entry))
    if place < len(collection.entries):
        collection.entries[place].lines_above[:0] = kept
    else:
        collection.foot[:0] = kept


#: no value is equal to it
_NOT_VALID = object()


def update_mapping(mapping: SyntaxMapping, wanted: BaseModel, inherited: MappingNode | None) -> None:
    """Changes a document's mapping, so that over `inherited` it says `wanted`. Keys that the model does not know stay:
    whether they may is for whoever validates the result."""
    model = type(wanted)
    for key, field in get_fields_by_key(model).items():
        name = next(each for each, known in model.model_fields.items() if known is field)
        said = _KeyState(
            model, name, key, mapping.get_entry(key), inherited.get(key) if inherited is not None else None
        )
        _update_key(mapping, said, getattr(wanted, name))
    for key in inherited or ():
        # a key of another type, which this one would inherit
        if key not in get_fields_by_key(model) and inherited is not None and inherited[key] is not None:
            set_key(mapping, key, build_null())


class _KeyState:
    """One key of a mapping: what it says, alone and over what it inherits."""

    def __init__(self, model: ModelClass, name: str, key: str, entry: SyntaxEntry | None, inherited: TreeNode) -> None:
        self._model = model
        self._name = name
        self.key = key
        self.entry = entry
        self.inherited = inherited

    def compute_value(self, *, without_own: bool = False) -> object:
        """As `plain` has it, None where it is unset; a value of its own kind where it is not valid."""
        tree = remove_nulls(self._merge_inherited(without_own=without_own))
        try:
            one = make_single_field_model(self._model, self._name).model_validate(
                {} if tree is None else {self.key: tree}
            )
        except ValidationError:
            return _NOT_VALID
        return convert_to_plain(getattr(one, self._name), self.key)

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
    """The value's mapping: that of the file changed, or a new one where it is of another type or there is none."""
    tag = _get_model_tag(wanted)
    above = inherited if isinstance(inherited, MappingNode) else None
    other_above = above is not None and tag is not None and above.get(tag[0]) not in (None, tag[1])
    if other_above:
        above = None
    kept = isinstance(own, SyntaxMapping) and _is_same_type(own, tag, other_above=other_above)
    made = own if kept and isinstance(own, SyntaxMapping) else SyntaxMapping()
    update_mapping(made, wanted, above)
    if tag is not None and made.get_entry(tag[0]) is None and (above is None or above.get(tag[0]) is None):
        # also where it is the default: else nothing, or another one above, would say what the keys are of
        set_key(made, tag[0], build_scalar(tag[1]))
    return made if kept else set_flow_style(made)


def _is_same_type(own: SyntaxMapping, tag: tuple[str, str] | None, *, other_above: bool) -> bool:
    """Whether a mapping of the file is of the type that is wanted, as it says itself or is said above."""
    entry = own.get_entry(tag[0]) if tag else None
    return tag is None or (build_tree(entry.value) == tag[1] if entry else not other_above)


def _build_sequence(wanted: tuple[Any, ...], own: SyntaxNode | None, key: str) -> SyntaxNode:
    """A list whose order means nothing keeps that of the file, new items last; another one gets that of the model.
    An item that stays keeps its comments."""
    before = list(own.entries) if isinstance(own, SyntaxSequence) else []
    made = SyntaxSequence(own.flow if isinstance(own, SyntaxSequence) else False)
    by_name = {str(getattr(item, ITEM_KEY_OF_LIST[key])): item for item in wanted} if key in ITEM_KEY_OF_LIST else None
    if by_name is not None:
        made.entries = list(_update_named_items(by_name, before, ITEM_KEY_OF_LIST[key]))
    else:
        made.entries = [_find_or_create_entry(item, before, made.entries) for item in wanted]
    stay = {id(entry) for entry in made.entries}
    gone = [line for entry in before if id(entry) not in stay for line in iter_entry_comments(entry)]
    made.foot = [*gone, *own.foot] if isinstance(own, SyntaxSequence) else []
    return made if isinstance(own, SyntaxSequence) else set_flow_style(made)


def _update_named_items(wanted: dict[str, Any], before: list[SyntaxEntry], named_by: str) -> Iterator[SyntaxEntry]:
    left = dict(wanted)
    for entry in before:
        tree = build_tree(entry.value)
        name = tree.get(named_by) if isinstance(tree, MappingNode) else None
        item = left.pop(name, None) if isinstance(name, str) else None
        if item is not None and isinstance(entry.value, SyntaxMapping):
            update_mapping(entry.value, item, None)
            yield entry
    for item in left.values():
        yield SyntaxEntry(None, _build_item(item))


def _find_or_create_entry(item: object, before: list[SyntaxEntry], taken: list[SyntaxEntry]) -> SyntaxEntry:
    """The first entry that says the item and is not taken yet, or a new one."""
    for entry in before:
        if all(entry is not each for each in taken) and _matches_item(entry, item):
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
    made = SyntaxMapping()
    update_mapping(made, item, None)
    return set_flow_style(made)


def _get_model_tag(model: BaseModel) -> tuple[str, str] | None:
    """The key by which a model is chosen among others, and what it says; None where there is no choice."""
    for key in TAG_KEYS:
        if key in type(model).model_fields:
            return key, str(getattr(model, key))
    return None
