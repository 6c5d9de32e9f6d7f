"""The live settings as YAML files: what was last applied, or what somebody changed in the store since.

Nothing is written here but by `ImportedCustomer.write`: of one customer everything is made and proven first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.config.canonical.files import shown
from reconciler.config.heritage import Heritage
from reconciler.config.layout import COMMUNITIES, CUSTOMER_FILE, LESSONS, CustomerFolder, Document, Layout, lay_out
from reconciler.config.models.declaration import Circumstances
from reconciler.config.replacing import replace
from reconciler.config.values import ID
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, error, info
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE
from reconciler.operations.imported import ImportedFile, LiveDocument, State, imported
from reconciler.operations.workspace import Workspace
from reconciler.store.reader import Reader
from reconciler.store.records import CustomerRecord, DeclaredRecord

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
