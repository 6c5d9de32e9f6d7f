"""How reports for other programs name a file: as the repository has it, whatever the current folder is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def find_repository_root(directory: Path) -> Path:
    """The top of the git working tree that a folder lies in; the current folder where there is none."""
    here = directory.resolve()
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), Path.cwd())


def create_path_mapper(root: Path) -> Callable[[str], str]:
    """A function from a file, as messages name it, to its path below root with `/` between its parts. What lies
    elsewhere keeps its whole path."""

    def path(file: str) -> str:
        whole = Path(os.path.abspath(file))
        for each in (whole, whole.parent.resolve() / whole.name):
            if each.is_relative_to(root):
                return each.relative_to(root).as_posix()
        return whole.as_posix()

    return path


def make_readable(text: str) -> str:
    """The text with a replacement character for what is no character: a file's name may be of any bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
