"""One document: read, put over what it inherits, and validated."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.config.load.layout import Document
from reconciler.config.models.declaration import Circumstances
from reconciler.config.yaml.pydantic_errors import NOTHING_EXCUSED, Excused, mistakes
from reconciler.config.yaml.reader import MAX_BYTES, read
from reconciler.config.yaml.tree import MappingNode, Node, SequenceNode, value_span
from reconciler.model.diagnostic import Diagnostic, Span, error

# How a document inherits: absent inherits, null unsets, a list replaces, a mapping is merged key by key.


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


Model = TypeVar("Model", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a document inherits. excused: what is wrong with it, and told of the files that say it."""

    tree: MappingNode | None = None
    excused: Excused = NOTHING_EXCUSED


NOTHING = Inherited()


@dataclass(frozen=True, slots=True)
class Opened(Generic[Model]):
    """written: as the file says it. tree: with what it inherits and without nulls. model: None where it is
    not valid."""

    file: Document
    written: MappingNode | None
    tree: MappingNode | None
    model: Model | None
    diagnostics: tuple[Diagnostic, ...]


def read_file(file: Document) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """The tree of one file, as written."""
    try:
        data = file.files.read(file.path, MAX_BYTES + 1, follow=file.linked)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            return None, (_linked(file),)
        return None, (
            error(
                "unreadable-file",
                f"the file cannot be read: {problem.strerror}",
                Span(file.name),
                "make it a readable file, or remove it",
            ),
        )
    return read(data, file.name)


def _linked(file: Document) -> Diagnostic:
    hint = "put the file itself here; what several customers share belongs in defaults.yaml"
    return error("linked-file", "a linked file is not followed", Span(file.name), hint)


def open_document(
    file: Document,
    model: type[Model],
    kind: str | None,
    known: Circumstances,
    inherited: Inherited = NOTHING,
) -> Opened[Model]:
    """One document of a kind. What is wrong with a value that it inherits is told of the file that says it."""
    own, found = read_file(file)
    if own is None:
        return Opened(file, None, None, None, found)
    if kind is not None and own.get("kind", kind) != kind:
        return Opened(file, own, None, None, (*found, _wrong_kind(own, kind)))
    tree = settle(inherit(own, inherited.tree))
    if not isinstance(tree, MappingNode):
        return Opened(file, own, None, None, found)
    try:
        validated = model.model_validate(tree, context=known)
    except ValidationError as problem:
        wrong = mistakes(problem, tree, model, known, inherited.excused)
        return Opened(file, own, tree, None, (*found, *wrong))
    return Opened(file, own, tree, None if found else validated, found)


def _wrong_kind(own: MappingNode, kind: str) -> Diagnostic:
    return error(
        "wrong-kind",
        f"kind must be {kind} in this place",
        value_span(own.places["kind"]),
        "the kind goes with the file's place: customer.yaml, communities/ID.yaml, lessons/ID.yaml, defaults.yaml",
    )
