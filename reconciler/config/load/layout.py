"""Which files of a customers repository describe what. It looks at names only, in the order of names.

A name that is nearly right is an error: a file passed over in silence would look like one that was removed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, error, warning

# Where the files of a customers repository are: on disk, or in a state of git (`config.revision`).


class Entry(NamedTuple):
    """What stands in a folder. is_link: a folder that is only linked."""

    name: str
    path: str
    is_folder: bool = False
    is_link: bool = False


class Files(Protocol):
    """Every method raises OSError as the system does."""

    def has(self, path: str) -> bool:
        """Whether there is a file."""
        ...

    def entries(self, folder: str) -> list[Entry]:
        """Everything in a folder, by name."""
        ...

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        """At most so many bytes of a file. follow: also one that is only linked; else that is ELOOP."""
        ...


class Disk:
    """The files as they are now."""

    def has(self, path: str) -> bool:
        return os.path.exists(path)

    def entries(self, folder: str) -> list[Entry]:
        with os.scandir(folder) as found:
            return sorted(map(entry_of, found))

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
        with open(descriptor, "rb") as stream:
            return stream.read(most)


DISK = Disk()


def entry_of(found: os.DirEntry[str]) -> Entry:
    """What stands in a folder on disk."""
    is_folder = found.is_dir(follow_symlinks=False)
    return Entry(found.name, found.path, is_folder, not is_folder and found.is_dir())


def relative(path: str, start: str) -> str:
    """`os.path.relpath`, which takes both apart and asks for the current folder each time; quick for most of what lies
    below `start`."""
    inside = path if start == os.curdir else path.removeprefix(start + os.sep)
    below = f"/{inside}"
    if (start == os.curdir or len(inside) < len(path)) and not ("/." in below or "//" in below or below[-1] == "/"):
        return inside
    return os.path.relpath(path, start)


CUSTOMER_FILE = "customer.yaml"
DEFAULTS_FILE = "defaults.yaml"
SETTINGS_FILE = "reconciler.yaml"
COMMUNITIES = "communities"
LESSONS = "lessons"


class Document(NamedTuple):
    """A file to read. name: as messages call it. linked: it may be only linked. stem: its name without folder and
    extension."""

    path: str
    name: str
    files: Files = DISK
    linked: bool = False

    @property
    def stem(self) -> str:
        return os.path.basename(self.path).removesuffix(".yaml")


@dataclass(frozen=True, slots=True)
class CustomerFolder:
    """A folder that is a customer. defaults: the files above it, nearest first. file: None where it is missing.
    diagnostics: what is wrong with the names in it. path: where it is."""

    id: str
    file: Document | None
    defaults: tuple[Document, ...]
    communities: tuple[Document, ...] = ()
    lessons: tuple[Document, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    path: str = ""

    def among(self, files: Files) -> CustomerFolder:
        """The same files, read from elsewhere."""
        file = self.file and self.file._replace(files=files)
        several = (self.defaults, self.communities, self.lessons)
        defaults, communities, lessons = (_among(each, files) for each in several)
        return replace(self, file=file, defaults=defaults, communities=communities, lessons=lessons)


@dataclass(slots=True)
class Layout:
    """The files of a repository. catalogue_diagnostics: what is wrong with names in the catalogue's folder."""

    settings: Document | None = None
    defaults: list[Document] = field(default_factory=list)
    catalogue: tuple[Document, ...] = ()
    catalogue_diagnostics: tuple[Diagnostic, ...] = ()
    settings_misnamed: tuple[Diagnostic, ...] = ()
    customers: list[CustomerFolder] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def among(self, files: Files, only: Collection[str] | None) -> Layout:
        """The same files, read from elsewhere. only: ids of the customers that are to be read; None for all."""
        return replace(
            self,
            settings=self.settings and self.settings._replace(files=files),
            defaults=list(_among(self.defaults, files)),
            catalogue=_among(self.catalogue, files),
            customers=[each.among(files) if only is None or each.id in only else each for each in self.customers],
        )


def _among(documents: Iterable[Document], files: Files) -> tuple[Document, ...]:
    return tuple(each._replace(files=files) for each in documents)


def lay_out(directory: Path, files: Files = DISK) -> Layout:
    """Every file below a directory that says something. A folder that cannot be listed refuses it all."""
    layout = Layout()
    layout.settings, layout.settings_misnamed = settings_file(directory, files)
    top = Document(str(directory), _shown(directory.resolve(), directory), files)
    _walk(layout, top, os.path.basename(os.path.abspath(directory)), (), at_top=True)
    return layout


def settings_file(directory: Path, files: Files = DISK) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """reconciler.yaml beside the folder of customers, and what is wrong with a name that is nearly that."""
    beside = directory.resolve().parent / SETTINGS_FILE
    misnamed = beside.with_suffix(".yml")
    found: Document | None = None
    wrong: tuple[Diagnostic, ...] = ()
    if files.has(str(beside)):
        found = Document(str(beside), _shown(beside, directory / ".." / SETTINGS_FILE), files, linked=True)
    if files.has(str(misnamed)):
        # Left unread, it would send everything to the default store.
        wrong = (_misnamed(Document("", _shown(misnamed, directory / ".." / misnamed.name)), SETTINGS_FILE),)
    return found, wrong


def _shown(whole: Path, given: Path) -> str:
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else os.path.normpath(given)


def _walk(
    layout: Layout, folder: Document, identity: str, defaults: tuple[Document, ...], *, at_top: bool = False
) -> None:
    """identity: the id of the customer that the folder would be."""
    files, folders, links = _entries(folder)
    noted = [_link(each) for each in links.values()]
    own = {name: each for name, each in files.items() if name.lower() in (CUSTOMER_FILE, "customer.yml")}
    inside = {name for name in (COMMUNITIES, LESSONS) if name in folders} - ({LESSONS} if at_top else set())
    is_customer = bool(own or inside)
    for name, each in files.items():
        if name == DEFAULTS_FILE:
            layout.defaults.append(each)
            if is_customer:
                noted.append(_ignored(each, "customers inherit from the folders above theirs, not from their own"))
        elif name in own and name != CUSTOMER_FILE:
            noted.append(_misnamed(each, CUSTOMER_FILE))
        elif name != CUSTOMER_FILE:
            hint = "its place is beside this folder" if name == SETTINGS_FILE and at_top else None
            noted.append(_ignored(each, hint))
    if is_customer:
        layout.customers.append(_customer(folder, identity, folders, own, defaults, noted))
    else:
        layout.diagnostics.extend(noted)
    if at_top and LESSONS in folders:
        layout.catalogue, wrong = _documents(folders[LESSONS])
        layout.catalogue_diagnostics = tuple(wrong)
    below = (files[DEFAULTS_FILE], *defaults) if DEFAULTS_FILE in files else defaults
    for name, each in folders.items():
        if name not in inside and not (at_top and name == LESSONS):
            _walk(layout, each, name, below)
    for name, each in links.items():
        layout.customers.append(CustomerFolder(name, None, (), diagnostics=(_link(each),), path=each.path))


def _customer(
    folder: Document,
    identity: str,
    folders: dict[str, Document],
    own: dict[str, Document],
    defaults: tuple[Document, ...],
    noted: list[Diagnostic],
) -> CustomerFolder:
    if not own:
        where = Span(os.path.join(folder.name, CUSTOMER_FILE))
        what = " and ".join(name for name in (COMMUNITIES, LESSONS) if name in folders)
        noted.append(
            error(
                "no-customer-file",
                f"there is no {CUSTOMER_FILE}, but {what}",
                where,
                "write it; or, to remove the customer, remove the whole folder",
            )
        )
    communities, wrong_communities = _documents(folders.get(COMMUNITIES))
    lessons, wrong_lessons = _documents(folders.get(LESSONS))
    return CustomerFolder(
        identity,
        own.get(CUSTOMER_FILE),
        defaults,
        communities,
        lessons,
        tuple(noted + wrong_communities + wrong_lessons),
        folder.path,
    )


def _documents(folder: Document | None) -> tuple[tuple[Document, ...], list[Diagnostic]]:
    """The documents of a folder of communities or lessons, and what is wrong with other names in it."""
    if folder is None:
        return (), []
    files, folders, links = _entries(folder)
    good = tuple(each for name, each in files.items() if name.endswith(".yaml"))
    wrong = [
        _misnamed(each, os.path.splitext(name)[0] + ".yaml")
        for name, each in files.items()
        if not name.endswith(".yaml")
    ]
    wrong += [_ignored(each, "documents stand in the folder itself") for each in folders.values()]
    return good, wrong + [_link(each) for each in links.values()]


def _entries(folder: Document) -> tuple[dict[str, Document], dict[str, Document], dict[str, Document]]:
    """By name YAML files, folders, and folders that are only linked; hidden ones are passed over."""
    files: dict[str, Document] = {}
    folders: dict[str, Document] = {}
    links: dict[str, Document] = {}
    try:
        entries = folder.files.entries(folder.path)
    except OSError as problem:
        raise ConfigurationRefusal(
            [
                error(
                    "unreadable-folder",
                    f"the folder cannot be listed: {problem.strerror}",
                    Span(folder.name),
                    "what is in it would look as if it had been removed; make it readable",
                )
            ]
        ) from problem
    above = "" if folder.name == os.curdir else os.path.join(folder.name, "")
    for name, path, is_folder, is_link in entries:
        if name.startswith("."):
            continue
        each = Document(path, above + name, folder.files)
        if is_folder:
            folders[name] = each
        elif is_link:
            links[name] = each
        elif name.lower().endswith((".yaml", ".yml")):
            files[name] = each
    return files, folders, links


def _misnamed(file: Document, name: str) -> Diagnostic:
    return error("misnamed-file", "the file is not read under this name", Span(file.name), f"rename it to {name}")


def _ignored(file: Document, hint: str | None) -> Diagnostic:
    known = f"read are {CUSTOMER_FILE}, {DEFAULTS_FILE}, {COMMUNITIES}/ID.yaml and {LESSONS}/ID.yaml"
    return warning("ignored-file", "nothing is read from here", Span(file.name), hint or known)


def _link(folder: Document) -> Diagnostic:
    return error("linked-folder", "a linked folder is not followed", Span(folder.name), "put the folder itself here")
