"""Export the store's settings to YAML files, including manual changes in the store.

Only `ImportedCustomer.write_files` writes: all files of a customer are rendered and verified first.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.config import load, validation
from reconciler.config.atomic_write import replace_file
from reconciler.config.fields import ID_PATTERN
from reconciler.config.formatting import (
    SyntaxDocument,
    SyntaxMapping,
    build_tree,
    format_path,
    iter_document_comments,
    parse_document,
    render_document,
    sort_keys,
    update_mapping,
)
from reconciler.config.models import ValidationContext
from reconciler.config.yaml import MappingNode, read_yaml
from reconciler.model.diagnostic import (
    ConfigurationRefusal,
    Diagnostic,
    Refusal,
    Span,
    build_error,
    build_info,
    build_warning,
)
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG
from reconciler.operations.workspace import Workspace, describe_unknown_customer
from reconciler.store.read import CustomerRecord, DocumentRecord, Reader

_MODELS: Mapping[Kind, Callable[[Mapping[str, object]], BaseModel]] = {
    Kind.CUSTOMER: validation.parse_customer_document,
    Kind.COMMUNITY: validation.parse_community_document,
    Kind.LESSON: validation.parse_lesson_document,
}


class ImportState(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class LiveDocument:
    """A document in the store, and the path of its file."""

    kind: Kind
    id: str
    document: Mapping[str, object]
    #: of the existing or the new file
    path: Path
    #: values that the file inherits
    inherited: MappingNode | None = None


@dataclass(frozen=True, slots=True)
class ImportedFile:
    path: Path
    name: str
    #: None if the file does not exist
    current_content: bytes | None
    #: new content
    text: str
    state: ImportState
    #: as the store has it
    document: Mapping[str, object]
    diagnostics: tuple[Diagnostic, ...] = ()


def import_document(live: LiveDocument) -> ImportedFile:
    """Return the file of a document; a file that already matches keeps its bytes.

    Raises Refusal if the file cannot be read, the store's document is invalid, or the text would not match it.
    """
    name = format_path(live.path)
    model = _parse_model(live, name)
    wanted = validation.build_document(model)
    diagnostics = () if wanted == live.document else (_describe_other_form(live, name),)
    content = _read_content(live.path, name)
    if content is None:
        text = _render_exact_text(SyntaxDocument(SyntaxMapping()), live, model, name, wanted)
        return ImportedFile(live.path, name, None, text, ImportState.NEW, live.document, diagnostics)
    document = parse_document(content, name)
    if _read_effective_document(document.root, live, model) == wanted:
        return ImportedFile(
            live.path, name, content, content.decode("utf-8"), ImportState.UNCHANGED, live.document, diagnostics
        )
    text = _render_exact_text(document, live, model, name, wanted)
    return ImportedFile(live.path, name, content, text, ImportState.CHANGED, live.document, diagnostics)


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
            [build_error("unreadable-file", what, Span(name), "Make it a readable file, or remove it.")]
        ) from problem


def _format_path(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path) or "a rule between keys"


def _render_exact_text(
    document: SyntaxDocument, live: LiveDocument, model: BaseModel, name: str, wanted: Mapping[str, object]
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


def _read_effective_document(root: SyntaxMapping, live: LiveDocument, model: BaseModel) -> dict[str, Any] | None:
    """Return the document of a file with its inherited values, or None if it is invalid."""
    own = build_tree(root)
    tree = load.remove_nulls(load.merge_inherited(own, live.inherited)) if isinstance(own, MappingNode) else None
    try:
        return validation.build_document(type(model).model_validate(tree))
    except ValidationError:
        return None


def _describe_invalid_document(live: LiveDocument, name: str, places: str) -> Diagnostic:
    return build_error(
        "live-not-valid",
        f"the store's {live.kind} {live.id} is not a valid document: see {places}",
        Span(name),
        "Apply the file to correct it: the store was changed manually.",
    )


def _describe_inexact_import(live: LiveDocument, name: str) -> Diagnostic:
    return build_error(
        "import-not-exact",
        f"the file cannot be made to match the store's {live.kind} {live.id}; it was not changed",
        Span(name),
        "Correct or remove the keys that `reconciler validate` reports, then import again.",
    )


def _describe_other_form(live: LiveDocument, name: str) -> Diagnostic:
    return build_warning(
        "other-form",
        f"the store has a value of {live.kind} {live.id} in another form than apply would write",
        Span(name),
        "Expect the next plan to show a change of form. The value means the same.",
    )


_FOLDERS = {Kind.COMMUNITY: load.COMMUNITIES, Kind.LESSON: load.LESSONS}


@dataclass(frozen=True, slots=True)
class ImportedCustomer:
    #: CATALOG for the shared lessons
    id: CustomerId
    #: empty if it was refused
    files: tuple[ImportedFile, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    #: None if the files can be written
    refusal: Refusal | None = None

    @property
    def pending_files(self) -> tuple[ImportedFile, ...]:
        return tuple(file for file in self.files if file.state is not ImportState.UNCHANGED)

    def write_files(self) -> None:
        """Write the files that differ.

        Raises Refusal if a file was changed since it was read, OSError if it cannot be written; the files before it
        are written then."""
        for file in self.pending_files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file.path, file.text, file.current_content)


def import_live_settings(workspace: Workspace, customers: tuple[CustomerId, ...] = ()) -> tuple[ImportedCustomer, ...]:
    """Return the files of the named customers and of their missing catalog lessons, or of everything without names.

    Raises Refusal for an unknown id or a folder that cannot be listed; other refusals are part of their customer."""
    layout = load.scan_repository(workspace.directory)
    with workspace.store.open_reader() as reader:
        records = {slug: record for slug, record in reader.read_customers().items() if not record.tombstoned}
        names = _select_customers(workspace, customers, {*records, *(folder.id for folder in layout.customers)})
        files = _FileLocator(workspace.directory, layout)
        imported = [_import_one(files, reader, name, records.get(name)) for name in names]
        lessons = _list_named_lessons(imported) if customers else None
        imported.append(_import_isolated(CATALOG, lambda: _import_catalog(files, reader, lessons)))
    return tuple(imported)


def _select_customers(
    workspace: Workspace, customers: tuple[CustomerId, ...], known: set[CustomerId]
) -> list[CustomerId]:
    unknown = sorted(set(customers) - known)
    if unknown:
        span = Span(str(workspace.directory))
        raise Refusal(describe_unknown_customer(name, known, span) for name in unknown)
    return sorted(set(customers) or known)


class _FileLocator:
    """Finds the folder of each customer's existing or new files."""

    def __init__(self, directory: Path, layout: load.RepositoryLayout) -> None:
        self.directory = directory
        self.layout = layout
        self.heritage = load.DefaultsResolver(layout.defaults, ValidationContext())

    def find_folder(self, customer: CustomerId) -> load.CustomerFolder:
        """Return the customer's folder, or a new one directly below the directory.

        Raises ConfigurationRefusal if there are several, or a file in it cannot be read."""
        folders = [folder for folder in self.layout.customers if folder.id == customer]
        if len(folders) > 1:
            raise ConfigurationRefusal([_describe_duplicate_folders(customer, folders)])
        top = tuple(each for each in self.layout.defaults if Path(each.path).parent == self.directory)
        folder = folders[0] if folders else load.CustomerFolder(customer, None, top)
        diagnostics = [*folder.diagnostics, *self.heritage.list_errors(folder.defaults)]
        errors = [each for each in diagnostics if each.is_error and each.code != "no-customer-file"]
        if errors:
            raise ConfigurationRefusal(errors)
        return folder

    def find_path(self, folder: load.CustomerFolder) -> Path:
        if folder.file is not None:
            return Path(folder.file.path).parent
        files = (*folder.communities, *folder.lessons)
        return Path(files[0].path).parents[1] if files else self.directory / folder.id


def _import_isolated(name: CustomerId, work: Callable[[], ImportedCustomer]) -> ImportedCustomer:
    """Return a refusal as the result, so that it does not stop the other customers."""
    try:
        return work()
    except Refusal as refusal:
        return ImportedCustomer(name, refusal=refusal)


def _import_one(
    files: _FileLocator, reader: Reader, name: CustomerId, record: CustomerRecord | None
) -> ImportedCustomer:
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
        LiveDocument(Kind.CUSTOMER, record.slug, record.document, where / load.CUSTOMER_FILE, inherited[Kind.CUSTOMER]),
        *(
            LiveDocument(each.kind, each.slug, each.document, _build_path(where, each), inherited.get(each.kind))
            for each in declared
        ),
    ]
    remarks = _describe_leftover_files(declared, {Kind.COMMUNITY: folder.communities, Kind.LESSON: folder.lessons})
    return _build_imported_customer(record.slug, documents, remarks)


def _import_catalog(files: _FileLocator, reader: Reader, named: frozenset[str] | None) -> ImportedCustomer:
    """Return the files of the catalog. named: lessons to write if they have no file; None for all lessons."""
    errors = [each for each in files.layout.catalog_diagnostics if each.is_error]
    if errors:
        raise ConfigurationRefusal(errors)
    declared = _read_live_documents(reader, None)
    existing = {each.stem for each in files.layout.catalog}
    documents = [
        LiveDocument(each.kind, each.slug, each.document, _build_path(files.directory, each))
        for each in declared
        if named is None or (each.slug in named and each.slug not in existing)
    ]
    remarks = _describe_leftover_files(declared, {Kind.LESSON: files.layout.catalog}) if named is None else ()
    return _build_imported_customer(CATALOG, documents, remarks)


def _list_named_lessons(imported: Iterable[ImportedCustomer]) -> frozenset[str]:
    """Return the lessons that communities name, including customers' own ones."""
    names: set[str] = set()
    for file in (file for each in imported for file in each.files):
        lessons = file.document.get("lessons")
        names.update(lessons if isinstance(lessons, list) else ())
    return frozenset(names)


def _read_live_documents(reader: Reader, customer: CustomerId | None) -> list[DocumentRecord]:
    declared = [each for each in reader.read_documents(customer) if not each.tombstoned]
    _check_names(customer or CATALOG, [each.slug for each in declared])
    return declared


def _build_imported_customer(
    name: CustomerId, documents: Iterable[LiveDocument], remarks: Iterable[Diagnostic]
) -> ImportedCustomer:
    files: list[ImportedFile] = []
    errors: list[Diagnostic] = []
    is_configuration = True
    for each in documents:
        try:
            files.append(import_document(each))
        except Refusal as refusal:
            errors += refusal.diagnostics
            is_configuration = is_configuration and isinstance(refusal, ConfigurationRefusal)
    if errors:
        return ImportedCustomer(name, refusal=ConfigurationRefusal(errors) if is_configuration else Refusal(errors))
    diagnostics = (*remarks, *(each for file in files for each in file.diagnostics))
    return ImportedCustomer(name, tuple(files), diagnostics)


def _build_path(where: Path, record: DocumentRecord) -> Path:
    return where / _FOLDERS[record.kind] / f"{record.slug}.yaml"


def _describe_leftover_files(
    declared: Iterable[DocumentRecord], files: Mapping[Kind, Iterable[load.ConfigFile]]
) -> Iterator[Diagnostic]:
    live = {(each.kind, each.slug) for each in declared}
    for kind, documents in files.items():
        yield from (
            _describe_missing_in_store(kind, each.stem, each) for each in documents if (kind, each.stem) not in live
        )


def _check_names(customer: CustomerId, names: Iterable[str]) -> None:
    """Raise Refusal for an id from the store that is no valid file name and could lead out of the folder."""
    if not all(re.fullmatch(ID_PATTERN, name) for name in names):
        raise Refusal(
            [build_error("live-not-valid", f"{customer} has an invalid ID in the store, which cannot be a file name")]
        )


def _describe_missing_in_store(kind: Kind, name: str, file: load.ConfigFile | None) -> Diagnostic:
    return build_info(
        "not-in-store",
        f"{kind} {name} is not in the store; its file was not changed",
        Span(file.name) if file else None,
        "Apply to add it, or remove the file.",
    )


def _describe_duplicate_folders(customer: CustomerId, folders: Iterable[load.CustomerFolder]) -> Diagnostic:
    where = " and ".join(format_path(Path(each.file.path)) for each in folders if each.file)
    return build_error(
        "duplicate-customer",
        f"customer {customer} has more than one folder: {where or os.curdir}",
        hint="Rename or remove one: IDs are unique across all customers.",
    )
