"""Map files to their paths in the repository, whatever the current folder is, for reports that programs read."""

import os
from collections.abc import Callable
from pathlib import Path


def find_repository_root(directory: Path) -> Path:
    """Return the root of the git working tree that contains a folder, or the current folder without one."""
    here = directory.resolve()
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), Path.cwd())


def create_path_mapper(root: Path) -> Callable[[str], str]:
    """Return a function that maps a file to its path below root with `/` between its parts.

    A file outside root keeps its absolute path."""

    def path(file: str) -> str:
        whole = Path(os.path.abspath(file))
        for each in (whole, whole.parent.resolve() / whole.name):
            if each.is_relative_to(root):
                return each.relative_to(root).as_posix()
        return whole.as_posix()

    return path


def make_readable(text: str) -> str:
    """Replace bytes that are not characters, which a file name may contain, by the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
