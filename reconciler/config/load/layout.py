"""Finds the files of a customers repository by their names, in the order of names.

An almost correct name is an error: a file that is silently skipped would look like a removed one.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, build_error, build_warning
from reconciler.model.ids import CustomerId


class FolderEntry(NamedTuple):
    """An entry of a folder."""

    name: str
    path: str
    is_folder: bool = False
    #: True for a symbolic link to a folder
    is_link: bool = False


class Files(Protocol):
    """Gives access to the files of a repository: on disk, or in a git commit (`config.git`).

    Every method raises OSError as the system does.
    """

    def has_file(self, path: str) -> bool:
        """Return whether the file exists."""
        ...

    def list_entries(self, folder: str) -> list[FolderEntry]:
        """Return the entries of a folder, by name."""
        ...

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        """Return at most `most` bytes of a file. A symbolic link raises ELOOP unless `follow` is set."""
        ...


class DiskFiles:
    """The files on disk."""

    def has_file(self, path: str) -> bool:
        return os.path.exists(path)

    def list_entries(self, folder: str) -> list[FolderEntry]:
        with os.scandir(folder) as entries:
            return sorted(map(build_folder_entry, entries))

    def read_content(self, path: str, most: int, *, follow: bool = False) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
        with open(descriptor, "rb") as stream:
            return stream.read(most)


DISK = DiskFiles()


def build_folder_entry(entry: os.DirEntry[str]) -> FolderEntry:
    """Return an entry of a folder on disk."""
    is_folder = entry.is_dir(follow_symlinks=False)
    return FolderEntry(entry.name, entry.path, is_folder, not is_folder and entry.is_dir())


def make_relative_path(path: str, start: str) -> str:
    """Return `os.path.relpath(path, start)`, but quickly for most paths below `start`.

    `os.path.relpath` splits both paths and asks for the current directory on each call.
    """
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
    """A file to read."""

    path: str
    #: as messages call it
    name: str
    files: Files = DISK
    #: True if the file may be a symbolic link
    follow_links: bool = False

    @property
    def stem(self) -> str:
        """Return the file's name without folder and extension."""
        return os.path.basename(self.path).removesuffix(".yaml")


@dataclass(frozen=True, slots=True)
class CustomerFolder:
    """The folder of one customer."""

    id: CustomerId
    #: None if customer.yaml is missing
    file: ConfigFile | None
    #: the defaults.yaml files above the folder, nearest first
    defaults: tuple[ConfigFile, ...]
    communities: tuple[ConfigFile, ...] = ()
    lessons: tuple[ConfigFile, ...] = ()
    #: problems with names in the folder
    diagnostics: tuple[Diagnostic, ...] = ()
    path: str = ""

    def replace_files(self, files: Files) -> Self:
        """Return the same folder, read from `files`."""
        file = self.file and self.file._replace(files=files)
        several = (self.defaults, self.communities, self.lessons)
        defaults, communities, lessons = (_replace_files(each, files) for each in several)
        return replace(self, file=file, defaults=defaults, communities=communities, lessons=lessons)


@dataclass(slots=True)
class RepositoryLayout:
    """The files of a repository."""

    settings: ConfigFile | None = None
    defaults: list[ConfigFile] = field(default_factory=list)
    catalog: tuple[ConfigFile, ...] = ()
    #: problems with names in the catalog's folder
    catalog_diagnostics: tuple[Diagnostic, ...] = ()
    settings_diagnostics: tuple[Diagnostic, ...] = ()
    customers: list[CustomerFolder] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def replace_files(self, files: Files, only: Collection[CustomerId] | None) -> Self:
        """Return the same layout, read from `files`. only: IDs of the customers to replace; None for all."""
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
    """Return the layout of a repository. Raises ConfigurationRefusal if a folder cannot be listed."""
    layout = RepositoryLayout()
    layout.settings, layout.settings_diagnostics = find_settings_file(directory, files)
    top = ConfigFile(str(directory), _format_path(directory.resolve(), directory), files)
    _walk_folder(layout, top, CustomerId(os.path.basename(os.path.abspath(directory))), (), at_top=True)
    return layout


def find_settings_file(directory: Path, files: Files = DISK) -> tuple[ConfigFile | None, tuple[Diagnostic, ...]]:
    """Return reconciler.yaml next to the folder of customers, and an error for an almost correct name."""
    beside = directory.resolve().parent / SETTINGS_FILE
    misnamed = beside.with_suffix(".yml")
    file: ConfigFile | None = None
    errors: tuple[Diagnostic, ...] = ()
    if files.has_file(str(beside)):
        file = ConfigFile(str(beside), _format_path(beside, directory / ".." / SETTINGS_FILE), files, follow_links=True)
    if files.has_file(str(misnamed)):
        # If it were ignored, everything would go to the default store.
        errors = (
            build_misnamed_error(
                ConfigFile("", _format_path(misnamed, directory / ".." / misnamed.name)), SETTINGS_FILE
            ),
        )
    return file, errors


def find_settings_folder(directory: Path) -> Path:
    """Return the folder of reconciler.yaml, in which relative paths in it start: `.` for the current directory."""
    folder = directory.resolve().parent
    return Path() if folder == Path.cwd() else folder


def _format_path(absolute: Path, fallback: Path) -> str:
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else os.path.normpath(fallback)


def _walk_folder(
    layout: RepositoryLayout,
    folder: ConfigFile,
    identity: CustomerId,
    defaults: tuple[ConfigFile, ...],
    *,
    at_top: bool = False,
) -> None:
    """Add the files of a folder and its subfolders to the layout.

    identity: the ID of the customer if the folder is one.
    """
    files, folders, links = _list_folder(folder)
    diagnostics = [_build_linked_folder_error(each) for each in links.values()]
    own = {name: each for name, each in files.items() if name.lower() in (CUSTOMER_FILE, "customer.yml")}
    inside = {name for name in (COMMUNITIES, LESSONS) if name in folders} - ({LESSONS} if at_top else set())
    is_customer = bool(own or inside)
    for name, each in files.items():
        if name == DEFAULTS_FILE:
            layout.defaults.append(each)
            if is_customer:
                diagnostics.append(
                    _build_ignored_warning(
                        each, "Move it to a folder above: customers do not inherit from their own folder."
                    )
                )
        elif is_misnamed_defaults(name):
            continue
        elif name in own and name != CUSTOMER_FILE:
            diagnostics.append(build_misnamed_error(each, CUSTOMER_FILE))
        elif name != CUSTOMER_FILE:
            hint = "Move it next to this folder." if name == SETTINGS_FILE and at_top else None
            diagnostics.append(_build_ignored_warning(each, hint))
    wrong_defaults = tuple(each for name, each in files.items() if is_misnamed_defaults(name))
    # Read as a file with an error, so that customers below it are invalid instead of losing what they inherit.
    layout.defaults.extend(wrong_defaults)
    if is_customer:
        layout.customers.append(_build_customer_folder(folder, identity, folders, own, defaults, diagnostics))
    else:
        layout.diagnostics.extend(diagnostics)
    if at_top and LESSONS in folders:
        layout.catalog, catalog_diagnostics = _list_documents(folders[LESSONS])
        layout.catalog_diagnostics = tuple(catalog_diagnostics)
    below = (
        (*wrong_defaults, files[DEFAULTS_FILE], *defaults) if DEFAULTS_FILE in files else (*wrong_defaults, *defaults)
    )
    for name, each in folders.items():
        if name not in inside and not (at_top and name == LESSONS):
            _walk_folder(layout, each, CustomerId(name), below)
    for name, each in links.items():
        layout.customers.append(
            CustomerFolder(CustomerId(name), None, (), diagnostics=(_build_linked_folder_error(each),), path=each.path)
        )


def _build_customer_folder(
    folder: ConfigFile,
    identity: CustomerId,
    folders: dict[str, ConfigFile],
    own: dict[str, ConfigFile],
    defaults: tuple[ConfigFile, ...],
    diagnostics: list[Diagnostic],
) -> CustomerFolder:
    if not own:
        where = Span(os.path.join(folder.name, CUSTOMER_FILE))
        what = " and ".join(name for name in (COMMUNITIES, LESSONS) if name in folders)
        diagnostics.append(
            build_error(
                "no-customer-file",
                f"{CUSTOMER_FILE} is missing, but the folder has {what}",
                where,
                f"Add {CUSTOMER_FILE}. To remove the customer, delete the whole folder.",
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
        tuple(diagnostics + wrong_communities + wrong_lessons),
        folder.path,
    )


def _list_documents(folder: ConfigFile | None) -> tuple[tuple[ConfigFile, ...], list[Diagnostic]]:
    """Return the documents in a folder of communities or lessons, and diagnostics for other names in it."""
    if folder is None:
        return (), []
    files, folders, links = _list_folder(folder)
    good = tuple(each for name, each in files.items() if name.endswith(".yaml"))
    wrong = [
        build_misnamed_error(each, os.path.splitext(name)[0] + ".yaml")
        for name, each in files.items()
        if not name.endswith(".yaml")
    ]
    wrong += [_build_ignored_warning(each, f"Move its documents to {folder.name}.") for each in folders.values()]
    return good, wrong + [_build_linked_folder_error(each) for each in links.values()]


def _list_folder(folder: ConfigFile) -> tuple[dict[str, ConfigFile], dict[str, ConfigFile], dict[str, ConfigFile]]:
    """Return YAML files, folders, and symbolic links to folders, each by name; hidden entries are skipped."""
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
                    "Make it readable; otherwise its contents would look removed.",
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


def is_misnamed_defaults(name: str) -> bool:
    """Return whether a file's name almost is defaults.yaml."""
    return name != DEFAULTS_FILE and name.lower() in (DEFAULTS_FILE, "defaults.yml")


def build_misnamed_error(file: ConfigFile, name: str) -> Diagnostic:
    return build_error("misnamed-file", "a file with this name is not read", Span(file.name), f"Rename it to {name}.")


def _build_ignored_warning(file: ConfigFile, hint: str | None) -> Diagnostic:
    known = f"It reads only {CUSTOMER_FILE}, {DEFAULTS_FILE}, {COMMUNITIES}/ID.yaml and {LESSONS}/ID.yaml."
    return build_warning("ignored-file", "reconciler ignores this file", Span(file.name), hint or known)


def _build_linked_folder_error(folder: ConfigFile) -> Diagnostic:
    return build_error(
        "linked-folder", "symbolic links to folders are not followed", Span(folder.name), "Put the folder itself here."
    )
