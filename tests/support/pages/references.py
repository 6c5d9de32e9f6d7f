"""Find code that a page names, and tell if it exists: files, names in them, tests, make targets and commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from reconciler.cli.main import COMMANDS
from tests.support.pages.play import ROOT

#: folders that a page may take a path from
STARTS = (ROOT, ROOT / "reconciler")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w./-]+")
_NAME_IN_FILE = re.compile(r"(?P<path>[\w./-]+\.py)(?:::|:)(?P<name>\w+(?:\.\w+)?)")
_MAKE = re.compile(r"make (?P<target>[\w-]+)(?: ROOM=(?P<room>\w+))?")
_COMMAND = re.compile(r"reconciler (?P<verb>\w+)")


def find_code_spans(page: str) -> list[str]:
    """Return the text of every code span outside fenced blocks."""
    return _SPAN.findall(_FENCED.sub("", page))


def is_real(span: str) -> bool:
    """Return whether a code span names something that exists; False also for text that names nothing."""
    if match := _NAME_IN_FILE.fullmatch(span):
        path = _find_path(match["path"])
        return path is not None and match["name"] in _list_names(path)
    if match := _MAKE.fullmatch(span):
        is_room = match["room"] is None or (ROOT / "tests" / match["room"]).is_dir()
        return is_room and f"\n{match['target']}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    if match := _COMMAND.fullmatch(span):
        return match["verb"] in COMMANDS
    return _PATH.fullmatch(span) is not None and _find_path(span) is not None


def _find_path(path: str) -> Path | None:
    """Return the file, or with a slash at the end the folder; None if there is none."""
    found = [start / path for start in STARTS]
    return next((each for each in found if (each.is_dir() if path.endswith("/") else each.is_file())), None)


@cache
def _list_names(path: Path) -> frozenset[str]:
    """Return what a module defines at its top level, and its classes' members as `Class.member`."""
    return frozenset(_iter_names(ast.parse(path.read_text(encoding="utf-8")).body))


def _iter_names(statements: list[ast.stmt]) -> Iterator[str]:
    for each in statements:
        match each:
            case ast.ClassDef():
                yield each.name
                yield from (f"{each.name}.{member}" for member in _iter_names(each.body))
            case ast.FunctionDef():
                yield each.name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
