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

from reconciler.config.atomic_write import replace_file
from reconciler.config.fields.values import ID_PATTERN
from reconciler.config.formatting import nodes
from reconciler.config.formatting.edit import update_mapping
from reconciler.config.formatting.files import format_path
from reconciler.config.formatting.format import iter_document_comments, parse_document
from reconciler.config.formatting.order import sort_keys
from reconciler.config.formatting.plain import build_tree
from reconciler.config.formatting.write import render_document
from reconciler.config.load.defaults import DefaultsResolver
from reconciler.config.load.document import merge_inherited, remove_nulls
from reconciler.config.load.layout import (
    COMMUNITIES,
    CUSTOMER_FILE,
    LESSONS,
    ConfigFile,
    CustomerFolder,
    RepositoryLayout,
    scan_repository,
)
from reconciler.config.models.declaration import ValidationContext
from reconciler.config.validation.documents import (
    build_document,
    parse_community_document,
    parse_customer_document,
    parse_lesson_document,
)
from reconciler.config.yaml.reader import read_yaml
from reconciler.config.yaml.tree import MappingNode
from reconciler.model.diagnostic import (
    ConfigurationRefusal,
    Diagnostic,
    Refusal,
    Span,
    build_error,
    build_info,
    build_warning,
)
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG
from reconciler.operations.workspace import Workspace
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord, DocumentRecord

# One document of the live store as the text of its file: what would be written, and why it cannot be.

_MODELS: Mapping[Kind, Callable[[Mapping[str, object]], BaseModel]] = {
    Kind.CUSTOMER: parse_customer_document,
    Kind.COMMUNITY: parse_community_document,
    Kind.LESSON: parse_lesson_document,
}


class ImportState(StrEnum):
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
    current_content: bytes | None
    text: str
    state: ImportState
    document: Mapping[str, object]
    diagnostics: tuple[Diagnostic, ...] = ()


def import_document(live: LiveDocument) -> ImportedFile:
    """The file that says what the store has. One that says it already stays as it is, to the byte.

    Refusal where the file cannot be read, where what the store has is no valid document, and where the text would not
    say it.
    """
    name = format_path(live.path)
    model = _parse_model(live, name)
    wanted = build_document(model)
    about = () if wanted == live.document else (_describe_other_form(live, name),)
    before = _read_content(live.path, name)
    if before is None:
        text = _render_exact_text(nodes.SyntaxDocument(nodes.SyntaxMapping()), live, model, name, wanted)
        return ImportedFile(live.path, name, None, text, ImportState.NEW, live.document, about)
    document = parse_document(before, name)
    if _read_effective_document(document.root, live, model) == wanted:
        return ImportedFile(
            live.path, name, before, before.decode("utf-8"), ImportState.UNCHANGED, live.document, about
        )
    text = _render_exact_text(document, live, model, name, wanted)
    return ImportedFile(live.path, name, before, text, ImportState.CHANGED, live.document, about)


def _parse_model(live: LiveDocument, name: str) -> BaseModel:
    try:
        model = _MODELS[live.kind](live.document)
    except ValidationError as problem:
        places = sorted({_format_path(each["loc"]) for each in problem.errors(include_input=False, include_url=False)})
        raise Refusal([_describe_invalid_document(live, name, ", ".join(places))]) from None
    if getattr(model, "id", None) != live.id:
        raise Refusal([_describe_invalid_document(live, name, "id")])
    return model


def _read_content(path: Path, name: str) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        what = f"the file cannot be read: {problem.strerror}"
        raise ConfigurationRefusal(
            [build_error("unreadable-file", what, Span(name), "make it a readable file, or remove it")]
        ) from problem


def _format_path(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path) or "a rule between keys"


def _render_exact_text(
    document: nodes.SyntaxDocument, live: LiveDocument, model: BaseModel, name: str, wanted: Mapping[str, object]
) -> str:
    comments = Counter(iter_document_comments(document))
    update_mapping(document.root, model, live.inherited)
    sort_keys(document.root, live.kind.value)
    text = render_document(document)
    tree, found = read_yaml(text.encode(), name)
    if tree is None or found or Counter(iter_document_comments(parse_document(text.encode(), name))) != comments:
        raise Refusal([_describe_inexact_import(live, name)])
    if _read_effective_document(document.root, live, model) != wanted:
        raise ConfigurationRefusal([_describe_inexact_import(live, name)])
    return text


def _read_effective_document(root: nodes.SyntaxMapping, live: LiveDocument, model: BaseModel) -> dict[str, Any] | None:
    """What a file says over what it inherits; None where it is not valid."""
    own = build_tree(root)
    tree = remove_nulls(merge_inherited(own, live.inherited)) if isinstance(own, MappingNode) else None
    try:
        return build_document(type(model).model_validate(tree))
    except ValidationError:
        return None


def _describe_invalid_document(live: LiveDocument, name: str, places: str) -> Diagnostic:
    return build_error(
        "live-not-valid",
        f"the store's {live.kind} {live.id} is no valid document: see {places}",
        Span(name),
        "somebody changed it by hand; an apply of the file puts it right",
    )


def _describe_inexact_import(live: LiveDocument, name: str) -> Diagnostic:
    return build_error(
        "import-not-exact",
        f"the file cannot be made to say what the store's {live.kind} {live.id} says, and is left as it is",
        Span(name),
        "reconciler validate names keys that mean nothing here; correct or remove them, and import again",
    )


def _describe_other_form(live: LiveDocument, name: str) -> Diagnostic:
    return build_warning(
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
    diagnostics: tuple[Diagnostic, ...] = ()
    refusal: Refusal | None = None

    @property
    def pending_files(self) -> tuple[ImportedFile, ...]:
        return tuple(file for file in self.files if file.state is not ImportState.UNCHANGED)

    def write_files(self) -> None:
        """Raises Refusal where a file was changed since it was read, OSError where it cannot be written; the files
        before it are written then."""
        for file in self.pending_files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file.path, file.text, file.current_content)


def import_live_settings(workspace: Workspace, customers: tuple[str, ...] = ()) -> tuple[ImportedCustomer, ...]:
    """What would be written of the customers named, with the lessons of the catalogue that they name and that are not
    there yet; or of all, and of the whole catalogue. Refusal for an unknown name and for folders that cannot be
    listed; what concerns one customer is told of that one."""
    layout = scan_repository(workspace.directory)
    with workspace.store.open_reader() as reader:
        records = {slug: record for slug, record in reader.read_customers().items() if not record.tombstoned}
        names = _select_customers(workspace, customers, {*records, *(folder.id for folder in layout.customers)})
        files = _FileLocator(workspace.directory, layout)
        made = [_import_one(files, reader, name, records.get(name)) for name in names]
        named = _list_named_lessons(made) if customers else None
        made.append(_import_isolated(CATALOG, lambda: _import_catalog(files, reader, named)))
    return tuple(made)


def _select_customers(workspace: Workspace, customers: tuple[str, ...], known: set[str]) -> list[str]:
    unknown = sorted(set(customers) - known)
    if unknown:
        listed = ", ".join(sorted(known)) or "none"
        raise Refusal(
            build_error(
                "unknown-customer",
                f"no customer is called {name}",
                Span(str(workspace.directory)),
                f"customers here: {listed}",
            )
            for name in unknown
        )
    return sorted(set(customers) or known)


class _FileLocator:
    """Where documents stand, or would."""

    def __init__(self, directory: Path, layout: RepositoryLayout) -> None:
        self.directory = directory
        self.layout = layout
        self.heritage = DefaultsResolver(layout.defaults, ValidationContext())

    def find_folder(self, customer: str) -> CustomerFolder:
        """The customer's folder, or a new one directly below the directory. ConfigurationRefusal where it is not
        clear, or something in it is not read."""
        found = [folder for folder in self.layout.customers if folder.id == customer]
        if len(found) > 1:
            raise ConfigurationRefusal([_describe_duplicate_folders(customer, found)])
        top = tuple(each for each in self.layout.defaults if Path(each.path).parent == self.directory)
        folder = found[0] if found else CustomerFolder(customer, None, top)
        wrong = [*folder.diagnostics, *self.heritage.list_errors(folder.defaults)]
        errors = [each for each in wrong if each.is_error and each.code != "no-customer-file"]
        if errors:
            raise ConfigurationRefusal(errors)
        return folder

    def find_path(self, folder: CustomerFolder) -> Path:
        if folder.file is not None:
            return Path(folder.file.path).parent
        inside = (*folder.communities, *folder.lessons)
        return Path(inside[0].path).parents[1] if inside else self.directory / folder.id


def _import_isolated(name: str, work: Callable[[], ImportedCustomer]) -> ImportedCustomer:
    """What is refused of one customer does not keep the others."""
    try:
        return work()
    except Refusal as refusal:
        return ImportedCustomer(name, refusal=refusal)


def _import_one(files: _FileLocator, reader: Reader, name: str, record: CustomerRecord | None) -> ImportedCustomer:
    if record is None:
        folders = [folder for folder in files.layout.customers if folder.id == name and folder.file is not None]
        return ImportedCustomer(
            name, diagnostics=tuple(_describe_missing_in_store(Kind.CUSTOMER, name, each.file) for each in folders)
        )
    return _import_isolated(name, lambda: _import_customer(files, reader, record))


def _import_customer(files: _FileLocator, reader: Reader, record: CustomerRecord) -> ImportedCustomer:
    _check_names(record.slug, [record.slug])
    folder = files.find_folder(record.slug)
    where = files.find_path(folder)
    inherited = {
        Kind.CUSTOMER: files.heritage.resolve_for_customer(folder.defaults).tree,
        Kind.COMMUNITY: files.heritage.resolve_for_community(folder.defaults).tree,
    }
    declared = _read_live_documents(reader, record.slug)
    documents = [
        LiveDocument(Kind.CUSTOMER, record.slug, record.document, where / CUSTOMER_FILE, inherited[Kind.CUSTOMER]),
        *(
            LiveDocument(each.kind, each.slug, each.document, _build_path(where, each), inherited.get(each.kind))
            for each in declared
        ),
    ]
    remarks = _describe_leftover_files(declared, {Kind.COMMUNITY: folder.communities, Kind.LESSON: folder.lessons})
    return _build_imported_customer(record.slug, documents, remarks)


def _import_catalog(files: _FileLocator, reader: Reader, named: frozenset[str] | None) -> ImportedCustomer:
    """named: only these, and of them those without a file; None for all."""
    errors = [each for each in files.layout.catalog_diagnostics if each.is_error]
    if errors:
        raise ConfigurationRefusal(errors)
    declared = _read_live_documents(reader, None)
    there = {each.stem for each in files.layout.catalog}
    documents = [
        LiveDocument(each.kind, each.slug, each.document, _build_path(files.directory, each))
        for each in declared
        if named is None or (each.slug in named and each.slug not in there)
    ]
    remarks = _describe_leftover_files(declared, {Kind.LESSON: files.layout.catalog}) if named is None else ()
    return _build_imported_customer(CATALOG, documents, remarks)


def _list_named_lessons(made: Iterable[ImportedCustomer]) -> frozenset[str]:
    """The lessons that communities name; which of them are the customer's own is not asked."""
    found: set[str] = set()
    for file in (file for each in made for file in each.files):
        lessons = file.document.get("lessons")
        found.update(lessons if isinstance(lessons, list) else ())
    return frozenset(found)


def _read_live_documents(reader: Reader, customer: str | None) -> list[DocumentRecord]:
    declared = [each for each in reader.read_documents(customer) if not each.tombstoned]
    _check_names(customer or CATALOG, [each.slug for each in declared])
    return declared


def _build_imported_customer(
    name: str, documents: Iterable[LiveDocument], remarks: Iterable[Diagnostic]
) -> ImportedCustomer:
    made: list[ImportedFile] = []
    wrong: list[Diagnostic] = []
    configuration = True
    for each in documents:
        try:
            made.append(import_document(each))
        except Refusal as refusal:
            wrong += refusal.diagnostics
            configuration = configuration and isinstance(refusal, ConfigurationRefusal)
    if wrong:
        return ImportedCustomer(name, refusal=ConfigurationRefusal(wrong) if configuration else Refusal(wrong))
    said = (*remarks, *(remark for file in made for remark in file.diagnostics))
    return ImportedCustomer(name, tuple(made), said)


def _build_path(where: Path, record: DocumentRecord) -> Path:
    return where / _FOLDERS[record.kind] / f"{record.slug}.yaml"


def _describe_leftover_files(
    declared: Iterable[DocumentRecord], files: Mapping[Kind, Iterable[ConfigFile]]
) -> Iterator[Diagnostic]:
    live = {(each.kind, each.slug) for each in declared}
    for kind, documents in files.items():
        yield from (
            _describe_missing_in_store(kind, each.stem, each) for each in documents if (kind, each.stem) not in live
        )


def _check_names(customer: str, names: Iterable[str]) -> None:
    """A name that another hand wrote into the store must not lead out of the folder."""
    if not all(re.fullmatch(ID_PATTERN, name) for name in names):
        raise Refusal(
            [build_error("live-not-valid", f"the store has a name of {customer} that is no id: it cannot name a file")]
        )


def _describe_missing_in_store(kind: Kind, name: str, file: ConfigFile | None) -> Diagnostic:
    return build_info(
        "not-in-store",
        f"the {kind} {name} is not in the store: its file is left alone",
        Span(file.name) if file else None,
        "an apply adds it; or remove the file",
    )


def _describe_duplicate_folders(customer: str, folders: Iterable[CustomerFolder]) -> Diagnostic:
    where = " and ".join(format_path(Path(each.file.path)) for each in folders if each.file)
    return build_error(
        "duplicate-customer",
        f"the customer {customer} has more than one folder: {where or os.curdir}",
        hint="ids are unique over all customers: rename one, or remove it",
    )
