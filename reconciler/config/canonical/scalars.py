"""Writing one scalar: quotes only where they are needed, and never a text that could be read as something else.

A text that some reader of YAML takes for a number, a day, a time or a truth value (1.1 and 1.2 together) keeps the
quotes that it has, and gets none where it had none: so it stays what it is, for every reader.
"""

from __future__ import annotations

import re

from reconciler.config.canonical.nodes import Scalar, Style
from reconciler.config.reader import NOT_PRINTABLE, NULLS

#: what readers of YAML 1.1 or 1.2 take for more than a text: truth values, whole numbers (also in base 60), fractions,
#: days and moments, the default value and the merge key
TYPED = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    r"|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0o[0-7]+|[-+]?[0-9][0-9_]*"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
    r"|=|<<"
)
#: line ends of YAML 1.1 and the mark of byte order, which are printable and no part of a line
BREAKS = "\n\r\x85\u2028\u2029"
_UNSAFE = re.compile(f"[\t{BREAKS}\ufeff]|{NOT_PRINTABLE.pattern}")
_INDICATORS = ",[]{}#&*!|>'\"%@`"
_FLOW = re.compile(r"[,\[\]{}:]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_null(scalar: Scalar) -> bool:
    return scalar.style is Style.PLAIN and scalar.value in NULLS


def is_typed(text: str) -> bool:
    """Whether a reader may take this text, without quotes, for something else than a text."""
    return text in NULLS or TYPED.fullmatch(text) is not None


def meaning(scalar: Scalar) -> tuple[str, bool]:
    """What must not change: the text, and whether it is one without quotes that may be more than a text."""
    return ("", True) if is_null(scalar) else (scalar.value, scalar.style is Style.PLAIN and is_typed(scalar.value))


def inline(scalar: Scalar, *, flow: bool) -> str:
    """A scalar on one line. flow: it stands in braces or brackets."""
    if is_null(scalar):
        return "null"
    text = scalar.value
    if is_typed(text):
        return text if scalar.style is Style.PLAIN else f'"{text}"'
    return text if _plain(text, flow=flow) else _quoted(text)


def block(scalar: Scalar) -> tuple[str, tuple[str, ...]] | None:
    """Head and lines, not indented, of a text of several lines; None where it cannot stand so."""
    if scalar.folded is not None:
        chomping, lines = scalar.folded
        return f">{chomping}", lines
    text = scalar.value
    if "\n" not in text:
        return None
    chomping = "" if text.endswith("\n") else "-"
    core = text.removesuffix("\n")
    lines = tuple(core.split("\n"))
    if core.endswith("\n") or not core or any(line != line.rstrip() or _odd(line) for line in lines):
        return None
    indented = next(line for line in lines if line)[0] in " \t"
    return f"|{'2' if indented else ''}{chomping}", lines


def _odd(line: str) -> bool:
    return _UNSAFE.search(line.replace("\t", " ")) is not None


def _plain(text: str, *, flow: bool) -> bool:
    if not text or text != text.strip() or _UNSAFE.search(text):
        return False
    if text[0] in _INDICATORS or text.startswith(("---", "...")):
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] == " "):
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    return not (flow and (_FLOW.search(text) or text[0] in "-?"))


def _quoted(text: str) -> str:
    if ('"' in text or "\\" in text) and not _UNSAFE.search(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if not _UNSAFE.match(character):
        return character
    number = ord(character)
    return f"\\x{number:02X}" if number < 0x100 else f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
