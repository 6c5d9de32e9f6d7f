"""How a document inherits: absent inherits, null unsets, a list replaces, a mapping is merged key by key.

A mapping that names another `type` (of sync, of rostering) replaces what it would inherit: the keys of one
type mean nothing to another. Every value keeps the place where it was written.
"""

from __future__ import annotations

from reconciler.config.tree import MappingNode, Node, SequenceNode


def inherit(own: MappingNode, inherited: MappingNode | None) -> MappingNode:
    """What `own` says, over what it inherits. Neither is changed. Nulls stay, for the next one to see."""
    if inherited is None or _of_another_type(own, inherited):
        return own
    merged = MappingNode(own.place)
    merged.update(inherited)
    merged.places.update(inherited.places)
    for key, value in own.items():
        merged.places[key] = own.places[key]
        before = inherited.get(key)
        if isinstance(value, MappingNode) and isinstance(before, MappingNode):
            merged[key] = inherit(value, before)
        else:
            merged[key] = value
    return merged


def _of_another_type(own: MappingNode, inherited: MappingNode) -> bool:
    ours, theirs = own.get("type"), inherited.get("type")
    return ours is not None and theirs is not None and ours != theirs


def settle(node: Node) -> Node:
    """The tree without its nulls: what is unset is absent. Only what holds a null is made anew."""
    if isinstance(node, MappingNode):
        changed = {}
        for key, value in node.items():
            settled = settle(value) if type(value) is not str else value
            if settled is not value or value is None:
                changed[key] = settled
        if not changed:
            return node
        clean = MappingNode(node.place)
        clean.places = node.places
        for key, value in node.items():
            value = changed.get(key, value)
            if value is not None:
                clean[key] = value
        return clean
    if isinstance(node, SequenceNode):
        items = [settle(item) if type(item) is not str else item for item in node]
        if all(new is old for new, old in zip(items, node, strict=True)):
            return node
        clean_list = SequenceNode(node.place)
        clean_list.extend(items)
        clean_list.places = node.places
        return clean_list
    return node
