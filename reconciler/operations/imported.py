"""One document of the live store as the text of its file: what would be written, and why it cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.config.canonical import nodes
from reconciler.config.canonical.expressing import express
from reconciler.config.canonical.files import shown
from reconciler.config.canonical.form import comments_of_document, opened
from reconciler.config.canonical.order import arrange
from reconciler.config.canonical.plain import tree_of
from reconciler.config.canonical.writing import written
from reconciler.config.document import (
    community_from_document,
    customer_from_document,
    lesson_from_document,
    to_document,
)
from reconciler.config.inheritance import inherit, settle
from reconciler.config.reader import read
from reconciler.config.tree import MappingNode
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, error, warning
from reconciler.model.kind import Kind

_MODELS: Mapping[Kind, Callable[[Mapping[str, object]], BaseModel]] = {
    Kind.CUSTOMER: customer_from_document,
    Kind.COMMUNITY: community_from_document,
    Kind.LESSON: lesson_from_document,
}


class State(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class LiveDocument:
    """A document as the store has it, and where its file is or would be. inherited: what the file inherits."""

    kind: Kind
    id: str
    document: Mapping[str, object]
    path: Path
    inherited: MappingNode | None = None


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """before: what the file holds, None where it is not there. text: what it is to hold. document: as the store has
    it."""

    path: Path
    name: str
    before: bytes | None
    text: str
    state: State
    document: Mapping[str, object]
    diagnostics: tuple[Diagnostic, ...] = ()


def imported(live: LiveDocument) -> ImportedFile:
    """The file that says what the store has. One that says it already stays as it is, to the byte.

    Refusal where the file cannot be read, where what the store has is no valid document, and where the text would not
    say it.
    """
    name = shown(live.path)
    model = _model(live, name)
    wanted = to_document(model)
    about = () if wanted == live.document else (_other_form(live, name),)
    before = _content(live.path, name)
    if before is None:
        text = _expressed(nodes.Document(nodes.Mapping()), live, model, name, wanted)
        return ImportedFile(live.path, name, None, text, State.NEW, live.document, about)
    document = opened(before, name)
    if _said(document.root, live, model) == wanted:
        return ImportedFile(live.path, name, before, before.decode("utf-8"), State.UNCHANGED, live.document, about)
    text = _expressed(document, live, model, name, wanted)
    return ImportedFile(live.path, name, before, text, State.CHANGED, live.document, about)


def _model(live: LiveDocument, name: str) -> BaseModel:
    try:
        model = _MODELS[live.kind](live.document)
    except ValidationError as problem:
        places = sorted({_dotted(each["loc"]) for each in problem.errors(include_input=False, include_url=False)})
        raise Refusal([_not_valid(live, name, ", ".join(places))]) from None
    if getattr(model, "id", None) != live.id:
        raise Refusal([_not_valid(live, name, "id")])
    return model


def _content(path: Path, name: str) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        what = f"the file cannot be read: {problem.strerror}"
        raise ConfigurationRefusal(
            [error("unreadable-file", what, Span(name), "make it a readable file, or remove it")]
        ) from problem


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path) or "a rule between keys"


def _expressed(
    document: nodes.Document, live: LiveDocument, model: BaseModel, name: str, wanted: Mapping[str, object]
) -> str:
    comments = Counter(comments_of_document(document))
    express(document.root, model, live.inherited)
    arrange(document.root, live.kind.value)
    text = written(document)
    tree, found = read(text.encode(), name)
    if tree is None or found or Counter(comments_of_document(opened(text.encode(), name))) != comments:
        raise Refusal([_not_exact(live, name)])
    if _said(document.root, live, model) != wanted:
        raise ConfigurationRefusal([_not_exact(live, name)])
    return text


def _said(root: nodes.Mapping, live: LiveDocument, model: BaseModel) -> dict[str, Any] | None:
    """What a file says over what it inherits; None where it is not valid."""
    own = tree_of(root)
    tree = settle(inherit(own, live.inherited)) if isinstance(own, MappingNode) else None
    try:
        return to_document(type(model).model_validate(tree))
    except ValidationError:
        return None


def _not_valid(live: LiveDocument, name: str, places: str) -> Diagnostic:
    return error(
        "live-not-valid",
        f"the store's {live.kind} {live.id} is no valid document: see {places}",
        Span(name),
        "somebody changed it by hand; an apply of the file puts it right",
    )


def _not_exact(live: LiveDocument, name: str) -> Diagnostic:
    return error(
        "import-not-exact",
        f"the file cannot be made to say what the store's {live.kind} {live.id} says, and is left as it is",
        Span(name),
        "reconciler validate names keys that mean nothing here; correct or remove them, and import again",
    )


def _other_form(live: LiveDocument, name: str) -> Diagnostic:
    return warning(
        "other-form",
        f"the store writes a value of {live.kind} {live.id} in another form than an apply does",
        Span(name),
        "it means the same; the next plan shows the change of its form",
    )
