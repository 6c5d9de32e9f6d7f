"""Lists the files that hold documents: named files, and below folders the files in the places of documents."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.config.formatting.order import detect_kind_by_path
from reconciler.config.load.layout import SETTINGS_FILE


def list_repository_files(directory: Path) -> list[Path]:
    """Return every document below the folder of customers, and reconciler.yaml next to it."""
    settings = Path(os.path.normpath(directory.resolve().parent / SETTINGS_FILE))
    return [*([settings] if settings.is_file() else []), *find_documents(directory)]


def expand_paths(paths: Iterable[Path]) -> list[Path]:
    """Return files as they are, and folders as the documents below them; each once, in the order given."""
    files: dict[str, Path] = {}
    for path in paths:
        for each in find_documents(path) if path.is_dir() else (path,):
            files.setdefault(os.path.abspath(each), each)
    return list(files.values())


def find_documents(folder: Path) -> Iterator[Path]:
    """Yield the documents below a folder, in the order of names; hidden folders and symbolic links are skipped."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            path = Path(where, name)
            if not name.startswith(".") and detect_kind_by_path(str(path)) is not None:
                yield path


def format_path(path: Path) -> str:
    """Return a path as messages show it: relative to the current directory if it is below it."""
    whole = Path(os.path.abspath(path))
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(path)
