"""The live settings as YAML files: what was last applied, or what somebody changed in the store since.

Nothing is written here but by `ImportedCustomer.write`: of one customer everything is made and proven first.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.config.atomic_write import replace
from reconciler.config.fields.values import ID
from reconciler.config.formatting import nodes
from reconciler.config.formatting.edit import express
from reconciler.config.formatting.files import shown
from reconciler.config.formatting.format import comments_of_document, opened
from reconciler.config.formatting.order import arrange
from reconciler.config.formatting.plain import tree_of
from reconciler.config.formatting.write import written
from reconciler.config.load.defaults import Heritage
from reconciler.config.load.document import inherit, settle
from reconciler.config.load.layout import COMMUNITIES, CUSTOMER_FILE, LESSONS, CustomerFolder, Document, Layout, lay_out
from reconciler.config.models.declaration import Circumstances
from reconciler.config.yaml.documents import (
    community_from_document,
    customer_from_document,
    lesson_from_document,
    to_document,
)
from reconciler.config.yaml.reader import read
from reconciler.config.yaml.tree import MappingNode
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, error, info, warning
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE
from reconciler.operations.workspace import Workspace
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord, DeclaredRecord

# One document of the live store as the text of its file: what would be written, and why it cannot be.

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


_FOLDERS = {Kind.COMMUNITY: COMMUNITIES, Kind.LESSON: LESSONS}


@dataclass(frozen=True, slots=True)
class ImportedCustomer:
    """id: CATALOGUE for the shared lessons. files: none where it was refused. remarks: what is left alone, and why.
    refusal: why nothing is written."""

    id: str
    files: tuple[ImportedFile, ...] = ()
    remarks: tuple[Diagnostic, ...] = ()
    refusal: Refusal | None = None

    @property
    def to_write(self) -> tuple[ImportedFile, ...]:
        return tuple(file for file in self.files if file.state is not State.UNCHANGED)

    def write(self) -> None:
        """Raises Refusal where a file was changed since it was read, OSError where it cannot be written; the files
        before it are written then."""
        for file in self.to_write:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            replace(file.path, file.text, file.before)


def import_live(workspace: Workspace, customers: tuple[str, ...] = ()) -> tuple[ImportedCustomer, ...]:
    """What would be written of the customers named, with the lessons of the catalogue that they name and that are not
    there yet; or of all, and of the whole catalogue. Refusal for an unknown name and for folders that cannot be
    listed; what concerns one customer is told of that one."""
    layout = lay_out(workspace.directory)
    with workspace.store.reading() as reader:
        records = {slug: record for slug, record in reader.customers().items() if not record.tombstoned}
        names = _chosen(workspace, customers, {*records, *(folder.id for folder in layout.customers)})
        files = _Files(workspace.directory, layout)
        made = [_one(files, reader, name, records.get(name)) for name in names]
        named = _named_lessons(made) if customers else None
        made.append(_by_itself(CATALOGUE, lambda: _catalogue(files, reader, named)))
    return tuple(made)


def _chosen(workspace: Workspace, customers: tuple[str, ...], known: set[str]) -> list[str]:
    unknown = sorted(set(customers) - known)
    if unknown:
        listed = ", ".join(sorted(known)) or "none"
        raise Refusal(
            error(
                "unknown-customer",
                f"no customer is called {name}",
                Span(str(workspace.directory)),
                f"customers here: {listed}",
            )
            for name in unknown
        )
    return sorted(set(customers) or known)


class _Files:
    """Where documents stand, or would."""

    def __init__(self, directory: Path, layout: Layout) -> None:
        self.directory = directory
        self.layout = layout
        self.heritage = Heritage(layout.defaults, Circumstances())

    def folder(self, customer: str) -> CustomerFolder:
        """The customer's folder, or a new one directly below the directory. ConfigurationRefusal where it is not
        clear, or something in it is not read."""
        found = [folder for folder in self.layout.customers if folder.id == customer]
        if len(found) > 1:
            raise ConfigurationRefusal([_twice(customer, found)])
        top = tuple(each for each in self.layout.defaults if Path(each.path).parent == self.directory)
        folder = found[0] if found else CustomerFolder(customer, None, top)
        wrong = [*folder.diagnostics, *self.heritage.errors_of(folder.defaults)]
        errors = [each for each in wrong if each.is_error and each.code != "no-customer-file"]
        if errors:
            raise ConfigurationRefusal(errors)
        return folder

    def path_of(self, folder: CustomerFolder) -> Path:
        if folder.file is not None:
            return Path(folder.file.path).parent
        inside = (*folder.communities, *folder.lessons)
        return Path(inside[0].path).parents[1] if inside else self.directory / folder.id


def _by_itself(name: str, work: Callable[[], ImportedCustomer]) -> ImportedCustomer:
    """What is refused of one customer does not keep the others."""
    try:
        return work()
    except Refusal as refusal:
        return ImportedCustomer(name, refusal=refusal)


def _one(files: _Files, reader: Reader, name: str, record: CustomerRecord | None) -> ImportedCustomer:
    if record is None:
        folders = [folder for folder in files.layout.customers if folder.id == name and folder.file is not None]
        return ImportedCustomer(name, remarks=tuple(_not_live(Kind.CUSTOMER, name, each.file) for each in folders))
    return _by_itself(name, lambda: _customer(files, reader, record))


def _customer(files: _Files, reader: Reader, record: CustomerRecord) -> ImportedCustomer:
    _check_names(record.slug, [record.slug])
    folder = files.folder(record.slug)
    where = files.path_of(folder)
    inherited = {
        Kind.CUSTOMER: files.heritage.for_customer(folder.defaults).tree,
        Kind.COMMUNITY: files.heritage.for_community(folder.defaults).tree,
    }
    declared = _live(reader, record.slug)
    documents = [
        LiveDocument(Kind.CUSTOMER, record.slug, record.document, where / CUSTOMER_FILE, inherited[Kind.CUSTOMER]),
        *(
            LiveDocument(each.kind, each.slug, each.document, _path(where, each), inherited.get(each.kind))
            for each in declared
        ),
    ]
    remarks = _left(declared, {Kind.COMMUNITY: folder.communities, Kind.LESSON: folder.lessons})
    return _made(record.slug, documents, remarks)


def _catalogue(files: _Files, reader: Reader, named: frozenset[str] | None) -> ImportedCustomer:
    """named: only these, and of them those without a file; None for all."""
    errors = [each for each in files.layout.catalogue_diagnostics if each.is_error]
    if errors:
        raise ConfigurationRefusal(errors)
    declared = _live(reader, None)
    there = {each.stem for each in files.layout.catalogue}
    documents = [
        LiveDocument(each.kind, each.slug, each.document, _path(files.directory, each))
        for each in declared
        if named is None or (each.slug in named and each.slug not in there)
    ]
    remarks = _left(declared, {Kind.LESSON: files.layout.catalogue}) if named is None else ()
    return _made(CATALOGUE, documents, remarks)


def _named_lessons(made: Iterable[ImportedCustomer]) -> frozenset[str]:
    """The lessons that communities name; which of them are the customer's own is not asked."""
    found: set[str] = set()
    for file in (file for each in made for file in each.files):
        lessons = file.document.get("lessons")
        found.update(lessons if isinstance(lessons, list) else ())
    return frozenset(found)


def _live(reader: Reader, customer: str | None) -> list[DeclaredRecord]:
    declared = [each for each in reader.declared(customer) if not each.tombstoned]
    _check_names(customer or CATALOGUE, [each.slug for each in declared])
    return declared


def _made(name: str, documents: Iterable[LiveDocument], remarks: Iterable[Diagnostic]) -> ImportedCustomer:
    made: list[ImportedFile] = []
    wrong: list[Diagnostic] = []
    configuration = True
    for each in documents:
        try:
            made.append(imported(each))
        except Refusal as refusal:
            wrong += refusal.diagnostics
            configuration = configuration and isinstance(refusal, ConfigurationRefusal)
    if wrong:
        return ImportedCustomer(name, refusal=ConfigurationRefusal(wrong) if configuration else Refusal(wrong))
    said = (*remarks, *(remark for file in made for remark in file.diagnostics))
    return ImportedCustomer(name, tuple(made), said)


def _path(where: Path, record: DeclaredRecord) -> Path:
    return where / _FOLDERS[record.kind] / f"{record.slug}.yaml"


def _left(declared: Iterable[DeclaredRecord], files: Mapping[Kind, Iterable[Document]]) -> Iterator[Diagnostic]:
    live = {(each.kind, each.slug) for each in declared}
    for kind, documents in files.items():
        yield from (_not_live(kind, each.stem, each) for each in documents if (kind, each.stem) not in live)


def _check_names(customer: str, names: Iterable[str]) -> None:
    """A name that another hand wrote into the store must not lead out of the folder."""
    if not all(re.fullmatch(ID, name) for name in names):
        raise Refusal(
            [error("live-not-valid", f"the store has a name of {customer} that is no id: it cannot name a file")]
        )


def _not_live(kind: Kind, name: str, file: Document | None) -> Diagnostic:
    return info(
        "not-in-store",
        f"the {kind} {name} is not in the store: its file is left alone",
        Span(file.name) if file else None,
        "an apply adds it; or remove the file",
    )


def _twice(customer: str, folders: Iterable[CustomerFolder]) -> Diagnostic:
    where = " and ".join(shown(Path(each.file.path)) for each in folders if each.file)
    return error(
        "duplicate-customer",
        f"the customer {customer} has more than one folder: {where or os.curdir}",
        hint="ids are unique over all customers: rename one, or remove it",
    )
