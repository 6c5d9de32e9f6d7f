"""Where a path leads once its links are followed, and whether that is still in the folder that was configured."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

MOST_LINKS = 40


class TooManyLinks(Exception):  # noqa: N818 - becomes a diagnostic
    """Links that lead to each other."""


def absolute(path: str, home: str) -> str:
    """home: where relative paths begin, absolute."""
    whole = posixpath.normpath(posixpath.join(home, path))
    return f"/{whole.lstrip('/')}"


def resolved(path: str, target: Callable[[str], str | None]) -> str:
    """path: absolute. target: what a link holds, None of what is none; may raise OSError.

    Every part is looked at, as the server would follow it; the result has no links left. Raises TooManyLinks."""
    parts = [part for part in path.split("/") if part][::-1]
    done = ""
    links = 0
    while parts:
        part = parts.pop()
        if part in (".", ""):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        held = target(f"{done}/{part}")
        if held is None:
            done = f"{done}/{part}"
            continue
        links += 1
        if links > MOST_LINKS:
            raise TooManyLinks
        if held.startswith("/"):
            done = ""
        parts += [each for each in held.split("/") if each][::-1]
    return done or "/"


def within(folder: str, path: str) -> bool:
    """Both absolute and without links."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
