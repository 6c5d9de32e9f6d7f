"""Detects a directory that is inside or around the folder of all customers.

Read from one customer's folder or a group's, all other customers would look removed, and reconciler.yaml would be
searched in the wrong place. Only a few names are looked up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.config.load.layout import COMMUNITIES, CUSTOMER_FILE, DEFAULTS_FILE, LESSONS, SETTINGS_FILE

#: the default name of the folder of all customers
DEFAULT_FOLDER_NAME = "customers"


@dataclass(frozen=True, slots=True)
class WrongDirectory:
    """A directory that is not the folder of all customers."""

    #: what the directory is instead, to follow its name in a sentence
    reason: str
    #: the folder of all customers
    customers_directory: Path


def detect_wrong_directory(directory: Path) -> WrongDirectory | None:
    """Return what is wrong with a directory, or None if nothing suggests a mistake (also if it does not exist)."""
    here = directory.resolve()
    if (here / CUSTOMER_FILE).is_file() or (here / COMMUNITIES).is_dir():
        customers_folder = next(_find_customers_folders(here), here.parent)
        return WrongDirectory("is the folder of one customer", _make_relative_path(customers_folder, directory))
    if (here.parent / SETTINGS_FILE).is_file():
        return None
    enclosing = next(_find_customers_folders(here), None)
    if enclosing is not None:
        shown = _make_relative_path(enclosing, directory)
        return WrongDirectory(f"is a folder inside {shown}", shown)
    if (here / SETTINGS_FILE).is_file() and (here / DEFAULT_FOLDER_NAME).is_dir():
        return WrongDirectory(f"is the folder of {SETTINGS_FILE}", directory / DEFAULT_FOLDER_NAME)
    return None


def _find_customers_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders above that look like the folder of all customers, nearest first."""
    for each in folder.parents:
        if not (each.parent / SETTINGS_FILE).is_file():
            continue
        if each.name == DEFAULT_FOLDER_NAME or any((each / name).exists() for name in (DEFAULTS_FILE, LESSONS)):
            yield each


def _make_relative_path(folder: Path, directory: Path) -> Path:
    """Return the path as a person in the current directory would write it."""
    here = Path.cwd().resolve()
    if directory.is_absolute() or not folder.is_relative_to(here):
        return folder
    return folder.relative_to(here)
