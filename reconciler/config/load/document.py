"""Reads one document, merges it with what it inherits, and validates it."""

import errno
import os
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.config.load.layout import DEFAULTS_FILE, ConfigFile, build_misnamed_error, is_misnamed_defaults
from reconciler.config.models.declaration import ValidationContext
from reconciler.config.validation.pydantic_errors import NO_SUPPRESSION, ErrorSuppression, translate_validation_errors
from reconciler.config.yaml.reader import MAX_BYTES, read_yaml
from reconciler.config.yaml.tree import MappingNode, Node, SequenceNode, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error


def merge_inherited(own: MappingNode, inherited: MappingNode | None) -> MappingNode:
    """Return the tree `own`, merged with what it inherits. Neither argument is changed.

    A missing key inherits, null clears, a list replaces, a mapping is merged key by key. Nulls stay, for the next
    merge. A mapping of another type inherits nothing.
    """
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
    """Return the tree without nulls, which stand for unset keys. Only nodes with a null inside are copied."""
    if isinstance(node, MappingNode):
        changed = {}
        for key, value in node.items():
            clean_value = remove_nulls(value) if type(value) is not str else value
            if clean_value is not value or value is None:
                changed[key] = clean_value
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
    """The values that a document inherits."""

    #: None if it inherits nothing
    tree: MappingNode | None = None
    #: errors that the inherited files report themselves
    suppression: ErrorSuppression = NO_SUPPRESSION


NO_INHERITANCE = Inheritance()


@dataclass(frozen=True, slots=True)
class LoadResult(Generic[Model]):
    """One document after reading and validation."""

    file: ConfigFile
    #: the file as written; None if it cannot be read
    own_tree: MappingNode | None
    #: merged with what it inherits, without nulls
    tree: MappingNode | None
    #: None if the document is invalid
    model: Model | None
    diagnostics: tuple[Diagnostic, ...]


def read_file(file: ConfigFile) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """Return the tree of a file as written, and its diagnostics."""
    if is_misnamed_defaults(os.path.basename(file.path)):
        return None, (build_misnamed_error(file, DEFAULTS_FILE),)
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
                "Make the file readable, or remove it.",
            ),
        )
    return read_yaml(data, file.name)


def _build_linked_file_error(file: ConfigFile) -> Diagnostic:
    hint = "Put the file itself here, and shared values in defaults.yaml."
    return build_error("linked-file", "symbolic links to files are not followed", Span(file.name), hint)


def open_document(
    file: ConfigFile,
    model: type[Model],
    kind: str | None,
    context: ValidationContext,
    inherited: Inheritance = NO_INHERITANCE,
) -> LoadResult[Model]:
    """Read and validate one document. The file that sets an inherited value reports the errors in it.

    kind: expected in the document; None if it has no kind.
    """
    own, diagnostics = read_file(file)
    if own is None:
        return LoadResult(file, None, None, None, diagnostics)
    if kind is not None and own.get("kind", kind) != kind:
        return LoadResult(file, own, None, None, (*diagnostics, _build_wrong_kind_error(own, kind)))
    tree = remove_nulls(merge_inherited(own, inherited.tree))
    if not isinstance(tree, MappingNode):
        return LoadResult(file, own, None, None, diagnostics)
    try:
        validated = model.model_validate(tree, context=context)
    except ValidationError as problem:
        errors = translate_validation_errors(problem, tree, model, context, inherited.suppression)
        return LoadResult(file, own, tree, None, (*diagnostics, *errors))
    return LoadResult(file, own, tree, None if diagnostics else validated, diagnostics)


def _build_wrong_kind_error(own: MappingNode, kind: str) -> Diagnostic:
    return build_error(
        "wrong-kind",
        f"kind must be {kind} in this file",
        get_value_span(own.places["kind"]),
        "Move the file or change its kind: "
        "the kind follows from customer.yaml, communities/ID.yaml, lessons/ID.yaml or defaults.yaml.",
    )
