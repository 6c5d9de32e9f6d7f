"""Clean, measure, pad, color and wrap text in terminal cells."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells, set_cell_size

from reconciler.model.ids import HoldId, Moment

#: marks that change the direction of text; in a name, one can make a line read as another
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_BREAKING = frozenset({"Cc", "Zl", "Zp", "Cs"})


def clean_text(text: str) -> str:
    """Replace control characters, line breaks and marks of direction by visible escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(each):04x}" if each in _TURNING or unicodedata.category(each) in _BREAKING else each for each in text
    )


def pad_to_width(text: str, cells: int) -> str:
    """Pad with spaces to a number of cells; a longer text stays unchanged."""
    return text + " " * max(0, cells - cell_len(text))


def truncate_to_width(text: str, cells: int) -> str:
    """Cut to a number of cells, with an ellipsis at the end if the text was longer."""
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def measure_widest(texts: list[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)


@dataclass(frozen=True, slots=True)
class Paint:
    """Colors text for a terminal; returns it unchanged if color is off."""

    is_enabled: bool

    def format_bold(self, text: str) -> str:
        return self._apply_ansi_code("1", text)

    def format_dim(self, text: str) -> str:
        return self._apply_ansi_code("2", text)

    def format_red(self, text: str) -> str:
        return self._apply_ansi_code("31", text)

    def format_green(self, text: str) -> str:
        return self._apply_ansi_code("32", text)

    def format_yellow(self, text: str) -> str:
        return self._apply_ansi_code("33", text)

    def format_held(self, text: str) -> str:
        return self._apply_ansi_code("1;33", text)

    def _apply_ansi_code(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_enabled and text else text


# Wrap lines to the width of a terminal, at spaces, keeping their indent.

_COLOR = re.compile("\x1b\\[[0-9;]*m")
#: a title in its own column, before the rest of the line
_TITLE = re.compile(r"([-+~>] )?[^ ]+ {2,}")
_WIDEST_TITLE = 14
_DOT = " · "


def wrap_lines(lines: Iterable[str], width: int, command: str = "") -> list[str]:
    """Continue longer lines below with a greater indent, those with the command after a backslash so that it can be
    copied."""
    return [
        part
        for line in lines
        for part in (_wrap_line(line, width, command) if _measure_cells(line) > width else [line])
    ]


def _measure_cells(text: str) -> int:
    return cell_len(_COLOR.sub("", text))


def _wrap_line(line: str, width: int, command: str) -> list[str]:
    text = line.lstrip(" ")
    indent = " " * (len(line) - len(text))
    further = " " * _compute_further_indent(line, len(indent))
    backslash = " \\" if command and command in line else ""
    found: list[str] = []
    current, empty = indent, True
    for word in _split_units(text, width - len(further) - len(backslash)):
        wider = f"{current}{'' if empty else ' '}{word}"
        if not empty and _measure_cells(wider) > width - len(backslash):
            found.append(current.rstrip() + backslash)
            wider = further + word.lstrip(" ")
        current, empty = wider, False
    return [*found, current]


def _compute_further_indent(line: str, indent: int) -> int:
    title = None if indent else _TITLE.match(_COLOR.sub("", line))
    return title.end() if title and title.end() <= _WIDEST_TITLE else indent + 2


def _split_units(text: str, widest: int) -> Iterable[str]:
    """Split a line into its parts between dots; a part that does not fit on a line into words."""
    *pieces, last = text.split(_DOT)
    for piece in (*(f"{piece} ·" for piece in pieces), last):
        if pieces and _measure_cells(piece) <= widest:
            yield piece
        else:
            yield from _split_words(piece, widest)


def _split_words(text: str, widest: int) -> Iterable[str]:
    """Split into words, with further spaces before them; break a word that fits on no line anywhere."""
    for word in re.findall(r" *[^ ]+", text):
        bare = word[1:] if word.startswith(" ") else word
        if _measure_cells(bare) <= widest:
            yield bare
        else:
            yield from chop_cells(_COLOR.sub("", bare).strip(" "), widest)


# Layout of a terminal report.


@dataclass(frozen=True, slots=True)
class TerminalLayout:
    #: most lines per kind and action
    rows: int
    #: of the terminal, in cells
    width: int
    paint: Paint
    #: command that applies this plan; empty if nothing can
    command: str
    #: time of the plan, ISO-8601 UTC
    now: Moment
    #: whether to show the cause of each change, which a plan with a base knows
    causes: bool = False
    #: IDs of the holds that this apply approves
    approvals: frozenset[HoldId] = frozenset()
