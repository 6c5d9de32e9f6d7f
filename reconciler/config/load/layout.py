"""Which files of a customers repository describe what. It looks at names only, in the order of names.

A name that is nearly right is an error: a file passed over in silence would look like one that was removed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, build_error, build_warning

# Where the files of a customers repository are: on disk, or in a state of git (`config.revision`).


class FolderEntry(NamedTuple):
    """What stands in a folder. is_link: a folder that is only linked."""

    name: str
    path: str
    is_folder: bool = False
    is_link: bool = False


class Files(Protocol):
    """Every method raises OSError as the system does."""

    def has_file(self, path: str) -> bool:
        """Whether there is a file."""
        ...

    def list_entries(self, folder: str) -> list[FolderEntry]:
        """Everything in a folder, by name."""
        ...

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        """At most so many bytes of a file. follow: also one that is only linked; else that is ELOOP."""
        ...


class DiskFiles:
    """The files as they are now."""

    def has_file(self, path: str) -> bool:
        return os.path.exists(path)

    def list_entries(self, folder: str) -> list[FolderEntry]:
        with os.scandir(folder) as found:
            return sorted(map(build_folder_entry, found))

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
        with open(descriptor, "rb") as stream:
            return stream.read(most)


DISK = DiskFiles()


def build_folder_entry(found: os.DirEntry[str]) -> FolderEntry:
    """What stands in a folder on disk."""
    is_folder = found.is_dir(follow_symlinks=False)
    return FolderEntry(found.name, found.path, is_folder, not is_folder and found.is_dir())


def make_relative_path(path: str, start: str) -> str:
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


class ConfigFile(NamedTuple):
    """A file to read. name: as messages call it. linked: it may be only linked. stem: its name without folder and
    extension."""

    path: str
    name: str
    files: Files = DISK
    follow_links: bool = False

    @property
    def stem(self) -> str:
        return os.path.basename(self.path).removesuffix(".yaml")


@dataclass(frozen=True, slots=True)
class CustomerFolder:
    """A folder that is a customer. defaults: the files above it, nearest first. file: None where it is missing.
    diagnostics: what is wrong with the names in it. path: where it is."""

    id: str
    file: ConfigFile | None
    defaults: tuple[ConfigFile, ...]
    communities: tuple[ConfigFile, ...] = ()
    lessons: tuple[ConfigFile, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    path: str = ""

    def replace_files(self, files: Files) -> CustomerFolder:
        """The same files, read from elsewhere."""
        file = self.file and self.file._replace(files=files)
        several = (self.defaults, self.communities, self.lessons)
        defaults, communities, lessons = (_replace_files(each, files) for each in several)
        return replace(self, file=file, defaults=defaults, communities=communities, lessons=lessons)


@dataclass(slots=True)
class RepositoryLayout:
    """The files of a repository. catalogue_diagnostics: what is wrong with names in the catalogue's folder."""

    settings: ConfigFile | None = None
    defaults: list[ConfigFile] = field(default_factory=list)
    catalog: tuple[ConfigFile, ...] = ()
    catalog_diagnostics: tuple[Diagnostic, ...] = ()
    settings_diagnostics: tuple[Diagnostic, ...] = ()
    customers: list[CustomerFolder] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def replace_files(self, files: Files, only: Collection[str] | None) -> RepositoryLayout:
        """The same files, read from elsewhere. only: ids of the customers that are to be read; None for all."""
        return replace(
            self,
            settings=self.settings and self.settings._replace(files=files),
            defaults=list(_replace_files(self.defaults, files)),
            catalog=_replace_files(self.catalog, files),
            customers=[
                each.replace_files(files) if only is None or each.id in only else each for each in self.customers
            ],
        )


def _replace_files(documents: Iterable[ConfigFile], files: Files) -> tuple[ConfigFile, ...]:
    return tuple(each._replace(files=files) for each in documents)


def scan_repository(directory: Path, files: Files = DISK) -> RepositoryLayout:
    """Every file below a directory that says something. A folder that cannot be listed refuses it all."""
    layout = RepositoryLayout()
    layout.settings, layout.settings_diagnostics = find_settings_file(directory, files)
    top = ConfigFile(str(directory), _format_path(directory.resolve(), directory), files)
    _walk_folder(layout, top, os.path.basename(os.path.abspath(directory)), (), at_top=True)
    return layout


def find_settings_file(directory: Path, files: Files = DISK) -> tuple[ConfigFile | None, tuple[Diagnostic, ...]]:
    """reconciler.yaml beside the folder of customers, and what is wrong with a name that is nearly that."""
    beside = directory.resolve().parent / SETTINGS_FILE
    misnamed = beside.with_suffix(".yml")
    found: ConfigFile | None = None
    wrong: tuple[Diagnostic, ...] = ()
    if files.has_file(str(beside)):
        found = ConfigFile(
            str(beside), _format_path(beside, directory / ".." / SETTINGS_FILE), files, follow_links=True
        )
    if files.has_file(str(misnamed)):
        # Left unread, it would send everything to the default store.
        wrong = (
            _build_misnamed_error(
                ConfigFile("", _format_path(misnamed, directory / ".." / misnamed.name)), SETTINGS_FILE
            ),
        )
    return found, wrong


def _format_path(whole: Path, given: Path) -> str:
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else os.path.normpath(given)


def _walk_folder(
    layout: RepositoryLayout,
    folder: ConfigFile,
    identity: str,
    defaults: tuple[ConfigFile, ...],
    *,
    at_top: bool = False,
) -> None:
    """identity: the id of the customer that the folder would be."""
    files, folders, links = _list_folder(folder)
    noted = [_build_linked_folder_error(each) for each in links.values()]
    own = {name: each for name, each in files.items() if name.lower() in (CUSTOMER_FILE, "customer.yml")}
    inside = {name for name in (COMMUNITIES, LESSONS) if name in folders} - ({LESSONS} if at_top else set())
    is_customer = bool(own or inside)
    for name, each in files.items():
        if name == DEFAULTS_FILE:
            layout.defaults.append(each)
            if is_customer:
                noted.append(
                    _build_ignored_warning(each, "customers inherit from the folders above theirs, not from their own")
                )
        elif name in own and name != CUSTOMER_FILE:
            noted.append(_build_misnamed_error(each, CUSTOMER_FILE))
        elif name != CUSTOMER_FILE:
            hint = "its place is beside this folder" if name == SETTINGS_FILE and at_top else None
            noted.append(_build_ignored_warning(each, hint))
    if is_customer:
        layout.customers.append(_build_customer_folder(folder, identity, folders, own, defaults, noted))
    else:
        layout.diagnostics.extend(noted)
    if at_top and LESSONS in folders:
        layout.catalog, wrong = _list_documents(folders[LESSONS])
        layout.catalog_diagnostics = tuple(wrong)
    below = (files[DEFAULTS_FILE], *defaults) if DEFAULTS_FILE in files else defaults
    for name, each in folders.items():
        if name not in inside and not (at_top and name == LESSONS):
            _walk_folder(layout, each, name, below)
    for name, each in links.items():
        layout.customers.append(
            CustomerFolder(name, None, (), diagnostics=(_build_linked_folder_error(each),), path=each.path)
        )


def _build_customer_folder(
    folder: ConfigFile,
    identity: str,
    folders: dict[str, ConfigFile],
    own: dict[str, ConfigFile],
    defaults: tuple[ConfigFile, ...],
    noted: list[Diagnostic],
) -> CustomerFolder:
    if not own:
        where = Span(os.path.join(folder.name, CUSTOMER_FILE))
        what = " and ".join(name for name in (COMMUNITIES, LESSONS) if name in folders)
        noted.append(
            build_error(
                "no-customer-file",
                f"there is no {CUSTOMER_FILE}, but {what}",
                where,
                "write it; or, to remove the customer, remove the whole folder",
            )
        )
    communities, wrong_communities = _list_documents(folders.get(COMMUNITIES))
    lessons, wrong_lessons = _list_documents(folders.get(LESSONS))
    return CustomerFolder(
        identity,
        own.get(CUSTOMER_FILE),
        defaults,
        communities,
        lessons,
        tuple(noted + wrong_communities + wrong_lessons),
        folder.path,
    )


def _list_documents(folder: ConfigFile | None) -> tuple[tuple[ConfigFile, ...], list[Diagnostic]]:
    """The documents of a folder of communities or lessons, and what is wrong with other names in it."""
    if folder is None:
        return (), []
    files, folders, links = _list_folder(folder)
    good = tuple(each for name, each in files.items() if name.endswith(".yaml"))
    wrong = [
        _build_misnamed_error(each, os.path.splitext(name)[0] + ".yaml")
        for name, each in files.items()
        if not name.endswith(".yaml")
    ]
    wrong += [_build_ignored_warning(each, "documents stand in the folder itself") for each in folders.values()]
    return good, wrong + [_build_linked_folder_error(each) for each in links.values()]


def _list_folder(folder: ConfigFile) -> tuple[dict[str, ConfigFile], dict[str, ConfigFile], dict[str, ConfigFile]]:
    """By name YAML files, folders, and folders that are only linked; hidden ones are passed over."""
    files: dict[str, ConfigFile] = {}
    folders: dict[str, ConfigFile] = {}
    links: dict[str, ConfigFile] = {}
    try:
        entries = folder.files.list_entries(folder.path)
    except OSError as problem:
        raise ConfigurationRefusal(
            [
                build_error(
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
        each = ConfigFile(path, above + name, folder.files)
        if is_folder:
            folders[name] = each
        elif is_link:
            links[name] = each
        elif name.lower().endswith((".yaml", ".yml")):
            files[name] = each
    return files, folders, links


def _build_misnamed_error(file: ConfigFile, name: str) -> Diagnostic:
    return build_error("misnamed-file", "the file is not read under this name", Span(file.name), f"rename it to {name}")


def _build_ignored_warning(file: ConfigFile, hint: str | None) -> Diagnostic:
    known = f"read are {CUSTOMER_FILE}, {DEFAULTS_FILE}, {COMMUNITIES}/ID.yaml and {LESSONS}/ID.yaml"
    return build_warning("ignored-file", "nothing is read from here", Span(file.name), hint or known)


def _build_linked_folder_error(folder: ConfigFile) -> Diagnostic:
    return build_error(
        "linked-folder", "a linked folder is not followed", Span(folder.name), "put the folder itself here"
    )
