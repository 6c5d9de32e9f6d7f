"""Makes a document say what a model says, over what it inherits, by changing only what does not say so already.

What is inherited as it should be is left out, what is inherited and unset is null, and what equals a built-in default
is not written down anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from reconciler.config.formatting.nodes import Entry, Mapping, Node, Scalar, Sequence, comments_in, comments_of
from reconciler.config.formatting.order import keys_of
from reconciler.config.formatting.plain import NAMED_BY, flowing, null, plain, scalar_of, tree_of
from reconciler.config.load.document import inherit, settle
from reconciler.config.load.partial import alone
from reconciler.config.yaml.tree import MappingNode
from reconciler.config.yaml.tree import Node as TreeNode

# Changing a document without losing a comment: of what goes, the comments stay where it stood.


def put(mapping: Mapping, name: str, value: Node) -> None:
    """Sets a key. A value that it had takes its comments inside above the key; those of the key stay."""
    entry = mapping.get(name)
    if entry is None:
        mapping.entries.append(Entry(Scalar(name), value))
    elif entry.value is not value:
        kept = set(comments_in(value))
        entry.above += [line for line in comments_in(entry.value) if line not in kept]
        entry.value = value


def drop(collection: Mapping | Sequence, entry: Entry) -> None:
    """Takes an entry out. Its comments stand above the next one then, or at the foot."""
    place = next(number for number, each in enumerate(collection.entries) if each is entry)
    del collection.entries[place]
    kept = list(comments_of(entry))
    if place < len(collection.entries):
        collection.entries[place].above[:0] = kept
    else:
        collection.foot[:0] = kept


_TAGS = ("type", "backend")
#: no value is equal to it
_NOT_VALID = object()

Model: TypeAlias = type[BaseModel]


def express(mapping: Mapping, wanted: BaseModel, inherited: MappingNode | None) -> None:
    """Changes a document's mapping, so that over `inherited` it says `wanted`. Keys that the model does not know stay:
    whether they may is for whoever validates the result."""
    model = type(wanted)
    for key, field in keys_of(model).items():
        name = next(each for each, known in model.model_fields.items() if known is field)
        said = _Said(model, name, key, mapping.get(key), inherited.get(key) if inherited is not None else None)
        _express_key(mapping, said, getattr(wanted, name))
    for key in inherited or ():
        # a key of another type, which this one would inherit
        if key not in keys_of(model) and inherited is not None and inherited[key] is not None:
            put(mapping, key, null())


class _Said:
    """One key of a mapping: what it says, alone and over what it inherits."""

    def __init__(self, model: Model, name: str, key: str, entry: Entry | None, inherited: TreeNode) -> None:
        self._model = model
        self._name = name
        self.key = key
        self.entry = entry
        self.inherited = inherited

    def value(self, *, without_own: bool = False) -> object:
        """As `plain` has it, None where it is unset; a value of its own kind where it is not valid."""
        tree = settle(self._over(without_own=without_own))
        try:
            one = alone(self._model, self._name).model_validate({} if tree is None else {self.key: tree})
        except ValidationError:
            return _NOT_VALID
        return plain(getattr(one, self._name), self.key)

    def _over(self, *, without_own: bool) -> TreeNode:
        if self.entry is None or without_own:
            return self.inherited
        own = tree_of(self.entry.value)
        if isinstance(own, MappingNode) and isinstance(self.inherited, MappingNode):
            return inherit(own, self.inherited)
        return own


def _express_key(mapping: Mapping, said: _Said, value: object) -> None:
    entry = said.entry
    if said.value() == plain(value, said.key):
        return
    if value is None:
        if said.inherited is not None:
            put(mapping, said.key, null())
        elif entry is not None:
            drop(mapping, entry)
    elif entry is not None and said.inherited is not None and said.value(without_own=True) == plain(value, said.key):
        drop(mapping, entry)
    elif isinstance(value, BaseModel):
        put(mapping, said.key, _mapping(value, entry.value if entry else None, said.inherited))
    elif isinstance(value, tuple):
        put(mapping, said.key, _sequence(value, entry.value if entry else None, said.key))
    else:
        put(mapping, said.key, scalar_of(value))


def _mapping(wanted: BaseModel, own: Node | None, inherited: TreeNode) -> Node:
    """The value's mapping: that of the file changed, or a new one where it is of another type or there is none."""
    tag = _tag(wanted)
    above = inherited if isinstance(inherited, MappingNode) else None
    other_above = above is not None and tag is not None and above.get(tag[0]) not in (None, tag[1])
    if other_above:
        above = None
    kept = isinstance(own, Mapping) and _may_be(own, tag, other_above=other_above)
    made = own if kept and isinstance(own, Mapping) else Mapping()
    express(made, wanted, above)
    if tag is not None and made.get(tag[0]) is None and (above is None or above.get(tag[0]) is None):
        # also where it is the default: else nothing, or another one above, would say what the keys are of
        put(made, tag[0], scalar_of(tag[1]))
    return made if kept else flowing(made)


def _may_be(own: Mapping, tag: tuple[str, str] | None, *, other_above: bool) -> bool:
    """Whether a mapping of the file is of the type that is wanted, as it says itself or is said above."""
    entry = own.get(tag[0]) if tag else None
    return tag is None or (tree_of(entry.value) == tag[1] if entry else not other_above)


def _sequence(wanted: tuple[Any, ...], own: Node | None, key: str) -> Node:
    """A list whose order means nothing keeps that of the file, new items last; another one gets that of the model.
    An item that stays keeps its comments."""
    before = list(own.entries) if isinstance(own, Sequence) else []
    made = Sequence(own.flow if isinstance(own, Sequence) else False)
    by_name = {str(getattr(item, NAMED_BY[key])): item for item in wanted} if key in NAMED_BY else None
    if by_name is not None:
        made.entries = list(_by_name(by_name, before, NAMED_BY[key]))
    else:
        made.entries = [_kept(item, before, made.entries) for item in wanted]
    stay = {id(entry) for entry in made.entries}
    gone = [line for entry in before if id(entry) not in stay for line in comments_of(entry)]
    made.foot = [*gone, *own.foot] if isinstance(own, Sequence) else []
    return made if isinstance(own, Sequence) else flowing(made)


def _by_name(wanted: dict[str, Any], before: list[Entry], named_by: str) -> Iterator[Entry]:
    left = dict(wanted)
    for entry in before:
        tree = tree_of(entry.value)
        name = tree.get(named_by) if isinstance(tree, MappingNode) else None
        item = left.pop(name, None) if isinstance(name, str) else None
        if item is not None and isinstance(entry.value, Mapping):
            express(entry.value, item, None)
            yield entry
    for item in left.values():
        yield Entry(None, _item(item))


def _kept(item: object, before: list[Entry], taken: list[Entry]) -> Entry:
    """The first entry that says the item and is not taken yet, or a new one."""
    for entry in before:
        if all(entry is not each for each in taken) and _says(entry, item):
            return entry
    return Entry(None, _item(item))


def _says(entry: Entry, item: object) -> bool:
    tree = tree_of(entry.value)
    if not isinstance(item, BaseModel):
        return tree == str(plain(item))
    try:
        return plain(type(item).model_validate(tree)) == plain(item)
    except ValidationError:
        return False


def _item(item: object) -> Node:
    if not isinstance(item, BaseModel):
        return scalar_of(item)
    made = Mapping()
    express(made, item, None)
    return flowing(made)


def _tag(model: BaseModel) -> tuple[str, str] | None:
    """The key by which a model is chosen among others, and what it says; None where there is no choice."""
    for key in _TAGS:
        if key in type(model).model_fields:
            return key, str(getattr(model, key))
    return None
