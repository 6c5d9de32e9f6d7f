"""One document: read, put over what it inherits, and validated."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.config.inheritance import inherit, settle
from reconciler.config.layout import Document
from reconciler.config.mistake import NOTHING_EXCUSED, Excused, mistakes
from reconciler.config.models.declaration import Circumstances
from reconciler.config.reader import MAX_BYTES, read
from reconciler.config.tree import MappingNode, value_span
from reconciler.model.diagnostic import Diagnostic, Span, error

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
