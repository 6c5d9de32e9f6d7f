"""One document: read, put over what it inherits, and validated."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.config.load.layout import ConfigFile
from reconciler.config.models.declaration import ValidationContext
from reconciler.config.validation.pydantic_errors import NO_SUPPRESSION, ErrorSuppression, translate_validation_errors
from reconciler.config.yaml.reader import MAX_BYTES, read_yaml
from reconciler.config.yaml.tree import MappingNode, Node, SequenceNode, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error

# How a document inherits: absent inherits, null unsets, a list replaces, a mapping is merged key by key.


def merge_inherited(own: MappingNode, inherited: MappingNode | None) -> MappingNode:
    """What `own` says, over what it inherits. Neither is changed. Nulls stay, for the next one to see."""
    if inherited is None or _is_other_type(own, inherited):
        return own
    merged = MappingNode(own.place)
    merged.update(inherited)
    merged.places.update(inherited.places)
    for key, value in own.items():
        merged.places[key] = own.places[key]
        before = inherited.get(key)
        if isinstance(value, MappingNode) and isinstance(before, MappingNode):
            merged[key] = merge_inherited(value, before)
        else:
            merged[key] = value
    return merged


def _is_other_type(own: MappingNode, inherited: MappingNode) -> bool:
    ours, theirs = own.get("type"), inherited.get("type")
    return ours is not None and theirs is not None and ours != theirs


def remove_nulls(node: Node) -> Node:
    """The tree without its nulls: what is unset is absent. Only what holds a null is made anew."""
    if isinstance(node, MappingNode):
        changed = {}
        for key, value in node.items():
            settled = remove_nulls(value) if type(value) is not str else value
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
        items = [remove_nulls(item) if type(item) is not str else item for item in node]
        if all(new is old for new, old in zip(items, node, strict=True)):
            return node
        clean_list = SequenceNode(node.place)
        clean_list.extend(items)
        clean_list.places = node.places
        return clean_list
    return node


Model = TypeVar("Model", bound=BaseModel, covariant=True)


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a document inherits. excused: what is wrong with it, and told of the files that say it."""

    tree: MappingNode | None = None
    suppression: ErrorSuppression = NO_SUPPRESSION


NO_INHERITANCE = Inheritance()


@dataclass(frozen=True, slots=True)
class LoadResult(Generic[Model]):
    """written: as the file says it. tree: with what it inherits and without nulls. model: None where it is
    not valid."""

    file: ConfigFile
    own_tree: MappingNode | None
    tree: MappingNode | None
    model: Model | None
    diagnostics: tuple[Diagnostic, ...]


def read_file(file: ConfigFile) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """The tree of one file, as written."""
    try:
        data = file.files.read_content(file.path, MAX_BYTES + 1, follow=file.follow_links)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            return None, (_build_linked_file_error(file),)
        return None, (
            build_error(
                "unreadable-file",
                f"the file cannot be read: {problem.strerror}",
                Span(file.name),
                "make it a readable file, or remove it",
            ),
        )
    return read_yaml(data, file.name)


def _build_linked_file_error(file: ConfigFile) -> Diagnostic:
    hint = "put the file itself here; what several customers share belongs in defaults.yaml"
    return build_error("linked-file", "a linked file is not followed", Span(file.name), hint)


def open_document(
    file: ConfigFile,
    model: type[Model],
    kind: str | None,
    context: ValidationContext,
    inherited: Inheritance = NO_INHERITANCE,
) -> LoadResult[Model]:
    """One document of a kind. What is wrong with a value that it inherits is told of the file that says it."""
    own, found = read_file(file)
    if own is None:
        return LoadResult(file, None, None, None, found)
    if kind is not None and own.get("kind", kind) != kind:
        return LoadResult(file, own, None, None, (*found, _build_wrong_kind_error(own, kind)))
    tree = remove_nulls(merge_inherited(own, inherited.tree))
    if not isinstance(tree, MappingNode):
        return LoadResult(file, own, None, None, found)
    try:
        validated = model.model_validate(tree, context=context)
    except ValidationError as problem:
        wrong = translate_validation_errors(problem, tree, model, context, inherited.suppression)
        return LoadResult(file, own, tree, None, (*found, *wrong))
    return LoadResult(file, own, tree, None if found else validated, found)


def _build_wrong_kind_error(own: MappingNode, kind: str) -> Diagnostic:
    return build_error(
        "wrong-kind",
        f"kind must be {kind} in this place",
        get_value_span(own.places["kind"]),
        "the kind goes with the file's place: customer.yaml, communities/ID.yaml, lessons/ID.yaml, defaults.yaml",
    )
