"""Lines cut to the width of a terminal, at spaces, each with its own indent."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len, chop_cells

_COLOUR = re.compile("\x1b\\[[0-9;]*m")
#: a word in a column of its own, which the rest of the line stands behind
_TITLE = re.compile(r"([-+~>] )?[^ ]+ {2,}")
_WIDEST_TITLE = 14
_DOT = " · "


def wrapped(lines: Iterable[str], width: int, command: str = "") -> list[str]:
    """What is longer goes on beneath, further in. A line that ends in the command goes on after a backslash, so that
    it can be copied whole."""
    return [part for line in lines for part in (_wrap(line, width, command) if _cells(line) > width else [line])]


def _cells(text: str) -> int:
    return cell_len(_COLOUR.sub("", text))


def _wrap(line: str, width: int, command: str) -> list[str]:
    text = line.lstrip(" ")
    indent = " " * (len(line) - len(text))
    further = " " * _further(line, len(indent))
    backslash = " \\" if command and command in line else ""
    found: list[str] = []
    current, empty = indent, True
    for word in _units(text, width - len(further) - len(backslash)):
        wider = f"{current}{'' if empty else ' '}{word}"
        if not empty and _cells(wider) > width - len(backslash):
            found.append(current.rstrip() + backslash)
            wider = further + word.lstrip(" ")
        current, empty = wider, False
    return [*found, current]


def _further(line: str, indent: int) -> int:
    title = None if indent else _TITLE.match(_COLOUR.sub("", line))
    return title.end() if title and title.end() <= _WIDEST_TITLE else indent + 2


def _units(text: str, widest: int) -> Iterable[str]:
    """What stands between two dots stays together where it fits on a line, words elsewhere."""
    *pieces, last = text.split(_DOT)
    for piece in (*(f"{piece} ·" for piece in pieces), last):
        if pieces and _cells(piece) <= widest:
            yield piece
        else:
            yield from _words(piece, widest)


def _words(text: str, widest: int) -> Iterable[str]:
    """Several spaces in a row stay with the word behind them. What fits on no line is broken anywhere."""
    for word in re.findall(r" *[^ ]+", text):
        bare = word[1:] if word.startswith(" ") else word
        if _cells(bare) <= widest:
            yield bare
        else:
            yield from chop_cells(_COLOUR.sub("", bare).strip(" "), widest)
