"""Text in terminal cells: made harmless, measured, padded, coloured."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

#: Marks that turn the direction of what follows; a name that holds one can make a line read as another.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_BREAKING = frozenset({"Cc", "Zl", "Zp", "Cs"})


def clean(text: str) -> str:
    """Control characters, line breaks and marks of direction as visible escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(each):04x}" if each in _TURNING or unicodedata.category(each) in _BREAKING else each for each in text
    )


def pad(text: str, cells: int) -> str:
    """Filled up with spaces to so many cells; a longer text stays whole."""
    return text + " " * max(0, cells - cell_len(text))


def clip(text: str, cells: int) -> str:
    """Cut to so many cells, the last of them an ellipsis where something was cut."""
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip() + "…"


def widest(texts: list[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours for a terminal; gives the text back as it is where colour is off."""

    on: bool

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def red(self, text: str) -> str:
        return self._in("31", text)

    def green(self, text: str) -> str:
        return self._in("32", text)

    def yellow(self, text: str) -> str:
        return self._in("33", text)

    def held(self, text: str) -> str:
        return self._in("1;33", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text
