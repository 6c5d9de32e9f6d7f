"""Whether a folder is the one of all customers, or lies inside it or around it.

What is read from one customer's folder, or from a group's, looks as if all the others had been removed, and
reconciler.yaml is looked for in the wrong place. It looks at a few names only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.config.load.layout import COMMUNITIES, CUSTOMER_FILE, DEFAULTS_FILE, LESSONS, SETTINGS_FILE

#: What the folder of all customers is called where nobody says otherwise.
DEFAULT_FOLDER_NAME = "customers"


@dataclass(frozen=True, slots=True)
class WrongDirectory:
    """what: is wrong with the folder that was given. meant: the one of all customers."""

    reason: str
    customers_directory: Path


def detect_wrong_directory(directory: Path) -> WrongDirectory | None:
    """None where nothing speaks against it, also where it is not there."""
    here = directory.resolve()
    if (here / CUSTOMER_FILE).is_file() or (here / COMMUNITIES).is_dir():
        meant = next(_find_customers_folders(here), here.parent)
        return WrongDirectory("is the folder of one customer", _make_relative_path(meant, directory))
    if (here.parent / SETTINGS_FILE).is_file():
        return None
    around = next(_find_customers_folders(here), None)
    if around is not None:
        return WrongDirectory(
            f"is a folder within {_make_relative_path(around, directory)}", _make_relative_path(around, directory)
        )
    if (here / SETTINGS_FILE).is_file() and (here / DEFAULT_FOLDER_NAME).is_dir():
        return WrongDirectory(f"is the folder that {SETTINGS_FILE} stands in", directory / DEFAULT_FOLDER_NAME)
    return None


def _find_customers_folders(folder: Path) -> Iterator[Path]:
    """Folders above it, nearest first, that look like the one of all customers."""
    for each in folder.parents:
        if not (each.parent / SETTINGS_FILE).is_file():
            continue
        if each.name == DEFAULT_FOLDER_NAME or any((each / name).exists() for name in (DEFAULTS_FILE, LESSONS)):
            yield each


def _make_relative_path(folder: Path, directory: Path) -> Path:
    """As a person at the same place would name it."""
    here = Path.cwd().resolve()
    if directory.is_absolute() or not folder.is_relative_to(here):
        return folder
    return folder.relative_to(here)
