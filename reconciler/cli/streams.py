"""Make standard output and error accept every character, whatever the terminal can print."""

from __future__ import annotations

import codecs
import io
import sys

#: what a terminal shows in place of a character that it cannot print
STAND_INS = {
    "→": "->",
    "·": "-",
    "•": "*",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\u00a0": " ",
    "\u202f": " ",
}
_HANDLER = "reconciler-stand-in"


def prepare_streams() -> None:
    """Let standard output and error write what their encoding does not have.

    A file or a pipe gets UTF-8, as JSON and HTML require. A terminal keeps its encoding, and shows a stand-in or the
    code point of each character that it does not have."""
    codecs.register_error(_HANDLER, replace_unprintable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors=_HANDLER)
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def replace_unprintable(problem: UnicodeError) -> tuple[str, int]:
    """Return the stand-in for what cannot be encoded, and the position after it: an error handler of `codecs`."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end]
    shown = "".join(STAND_INS.get(each) or each.encode("ascii", "backslashreplace").decode() for each in text)
    return shown, problem.end
