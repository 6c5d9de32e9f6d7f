"""Which files hold documents: those that are named, and below folders those that stand where documents stand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.config.formatting.order import detect_kind_by_path
from reconciler.config.load.layout import SETTINGS_FILE


def list_repository_files(directory: Path) -> list[Path]:
    """Every document below the customers' folder, and reconciler.yaml beside it."""
    settings = Path(os.path.normpath(directory.resolve().parent / SETTINGS_FILE))
    return [*([settings] if settings.is_file() else []), *find_documents(directory)]


def expand_paths(paths: Iterable[Path]) -> list[Path]:
    """Files as they are; for a folder what stands below it. Each once, in the order of naming."""
    found: dict[str, Path] = {}
    for path in paths:
        for each in find_documents(path) if path.is_dir() else (path,):
            found.setdefault(os.path.abspath(each), each)
    return list(found.values())


def find_documents(folder: Path) -> Iterator[Path]:
    """Documents below a folder, in the order of names; hidden and linked folders are passed over."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            path = Path(where, name)
            if not name.startswith(".") and detect_kind_by_path(str(path)) is not None:
                yield path


def format_path(path: Path) -> str:
    """As messages call it: from the current folder where it lies below that."""
    whole = Path(os.path.abspath(path))
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(path)
