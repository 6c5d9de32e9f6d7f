"""Writes nodes with comments as text.

The indentation is two spaces, for lists below their key too. Braces and brackets stay if they fit on the line and
contain no comment. A comment behind a value stays in its column if there is room, else two spaces behind the value.
"""

import re
from collections.abc import Sequence as Lines

from reconciler.config.formatting.nodes import (
    BLANK,
    ScalarStyle,
    SyntaxDocument,
    SyntaxEntry,
    SyntaxMapping,
    SyntaxNode,
    SyntaxScalar,
    SyntaxSequence,
    TrailingComment,
    iter_node_comments,
)
from reconciler.config.yaml.reader import NOT_PRINTABLE, NULLS

#: text that readers of YAML 1.1 or 1.2 do not read as a string: booleans, integers (also in base 60), fractions, dates
#: and timestamps, the default value and the merge key
TYPED_TEXT_PATTERN = re.compile(
    r"[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    r"|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0o[0-7]+|[-+]?[0-9][0-9_]*"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
    r"|=|<<"
)
#: line breaks of YAML 1.1, which are printable but cannot be inside a line
LINE_BREAKS = "\n\r\x85\u2028\u2029"
_UNSAFE = re.compile(f"[\t{LINE_BREAKS}\ufeff]|{NOT_PRINTABLE.pattern}")
_INDICATORS = ",[]{}#&*!|>'\"%@`"
_FLOW = re.compile(r"[,\[\]{}:]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_null(scalar: SyntaxScalar) -> bool:
    return scalar.style is ScalarStyle.PLAIN and scalar.value in NULLS


def is_typed(text: str) -> bool:
    """Return whether a reader may read this text, without quotes, as something other than a string."""
    return text in NULLS or TYPED_TEXT_PATTERN.fullmatch(text) is not None


def get_scalar_meaning(scalar: SyntaxScalar) -> tuple[str, bool]:
    """Return what formatting must keep: the text, and whether it is unquoted and may be more than a string."""
    return (
        ("", True) if is_null(scalar) else (scalar.value, scalar.style is ScalarStyle.PLAIN and is_typed(scalar.value))
    )


def format_inline_scalar(scalar: SyntaxScalar, *, flow: bool) -> str:
    """Return a scalar on one line. flow: inside braces or brackets."""
    if scalar.escaped is not None:
        return scalar.escaped
    if is_null(scalar):
        return "null"
    text = scalar.value
    if is_typed(text):
        return text if scalar.style is ScalarStyle.PLAIN else f'"{text}"'
    return text if _can_be_plain(text, flow=flow) else _quote_text(text)


def format_block_scalar(scalar: SyntaxScalar) -> tuple[str, tuple[str, ...]] | None:
    """Return header and unindented lines of a multi-line text; None if it cannot be a block."""
    if scalar.folded is not None:
        chomping, lines = scalar.folded
        return f">{chomping}", lines
    text = scalar.value
    if "\n" not in text or scalar.escaped is not None:
        return None
    chomping = "" if text.endswith("\n") else "-"
    core = text.removesuffix("\n")
    lines = tuple(core.split("\n"))
    if core.endswith("\n") or not core or any(line != line.rstrip() or _has_unsafe_character(line) for line in lines):
        return None
    indented = next(line for line in lines if line)[0] in " \t"
    return f"|{'2' if indented else ''}{chomping}", lines


def _has_unsafe_character(line: str) -> bool:
    return _UNSAFE.search(line.replace("\t", " ")) is not None


def _can_be_plain(text: str, *, flow: bool) -> bool:
    if not text or text != text.strip() or _UNSAFE.search(text):
        return False
    if text[0] in _INDICATORS or text.startswith(("---", "...")):
        return False
    if text[0] in "-?:" and (len(text) == 1 or text[1] == " "):
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    return not (flow and (_FLOW.search(text) or text[0] in "-?"))


def _quote_text(text: str) -> str:
    if ('"' in text or "\\" in text) and not _UNSAFE.search(text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escape_character(character) for character in text) + '"'


def _escape_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if not _UNSAFE.match(character):
        return character
    number = ord(character)
    return f"\\x{number:02X}" if number < 0x100 else f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"


WIDTH = 120
STEP = 2


def render_document(document: SyntaxDocument) -> str:
    """Return the text of a document, with one newline at its end."""
    writer = _Writer()
    head = list(document.head)
    root = document.root
    if not root.entries:
        writer.write_lines([*head, *(line for line in root.foot if not head or line)], 0)
        return "\n".join([*writer.lines, "{}", ""])
    first, *others = root.entries
    if head and head[-1] != BLANK and first.lines_above:
        head.append(BLANK)
    writer.write_lines(head, 0)
    writer.write_entry(_strip_blank_line(first), 0, "", 0)
    for entry in others:
        writer.write_entry(entry, 0, "", 0)
    writer.write_lines(root.foot, 0)
    return "\n".join([*writer.lines, ""])


class _Writer:
    """Collects the lines of a document."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_lines(self, lines: Lines[str], margin: int) -> None:
        self.lines.extend(" " * margin + line if line else BLANK for line in lines)

    def write_entry(self, entry: SyntaxEntry, depth: int, lead: str, margin: int) -> None:
        """Write a key or an item with its comments.

        depth: indentation of the key or dash, in spaces. lead: text at the start of its line. margin: indentation of
        its comments; for the first key of an item, that of the dash.
        """
        value = entry.value
        begin = lead + _format_entry_start(entry)
        if isinstance(value, SyntaxScalar):
            self.write_lines(entry.lines_above, margin)
            self._write_scalar(begin, value, entry.trailing_comment, depth)
        elif _fits_on_line(value, begin):
            # Comments in an empty collection have no other place.
            self.write_lines([*entry.lines_above, *value.foot], margin)
            self._write_line(f"{begin} {_format_inline_node(value, flow=False)}", entry.trailing_comment)
        else:
            self.write_lines(entry.lines_above, margin)
            self._write_collection(entry, value, depth, lead, margin)

    def _write_scalar(self, begin: str, scalar: SyntaxScalar, behind: TrailingComment | None, depth: int) -> None:
        header, lines = format_block_scalar(scalar) or (format_inline_scalar(scalar, flow=False), ())
        self._write_line(f"{begin} {header}", behind)
        self.write_lines(lines, depth + STEP)

    def _write_collection(
        self, entry: SyntaxEntry, value: SyntaxMapping | SyntaxSequence, depth: int, lead: str, margin: int
    ) -> None:
        if entry.key is not None:
            self._write_line(lead + _format_entry_start(entry), entry.trailing_comment)
            first_lead, first_margin = " " * (depth + STEP), depth + STEP
        else:
            # The first key of an item is on the line of the dash, so a comment behind the dash moves above it.
            self.write_lines([entry.trailing_comment.text] if entry.trailing_comment else [], margin)
            first_lead, first_margin = f"{lead}- ", margin
        first, *others = value.entries
        self.write_entry(_strip_blank_line(first), depth + STEP, first_lead, first_margin)
        for each in others:
            self.write_entry(each, depth + STEP, " " * (depth + STEP), depth + STEP)
        self.write_lines(value.foot, depth + STEP)

    def _write_line(self, text: str, behind: TrailingComment | None) -> None:
        if behind is not None:
            gap = behind.column - len(text) if behind.column > len(text) else STEP
            text += " " * gap + behind.text
        self.lines.append(text)


def _strip_blank_line(first: SyntaxEntry) -> SyntaxEntry:
    """Return the entry without a blank line above it, as the first in its collection."""
    above = first.lines_above[1:] if first.lines_above[:1] == [BLANK] else first.lines_above
    return SyntaxEntry(first.key, first.value, above, first.trailing_comment)


def _format_entry_start(entry: SyntaxEntry) -> str:
    return f"{format_inline_scalar(entry.key, flow=False)}:" if entry.key is not None else "-"


def _fits_on_line(node: SyntaxMapping | SyntaxSequence, begin: str) -> bool:
    if not node.entries:
        return True
    if not node.flow or next(iter_node_comments(node), None) is not None:
        return False
    return len(f"{begin} {_format_inline_node(node, flow=False)}") <= WIDTH


def _format_inline_node(node: SyntaxNode, *, flow: bool) -> str:
    if isinstance(node, SyntaxScalar):
        return format_inline_scalar(node, flow=flow)
    if isinstance(node, SyntaxSequence):
        return "[" + ", ".join(_format_inline_node(item.value, flow=True) for item in node.entries) + "]"
    pairs = (
        f"{format_inline_scalar(entry.key, flow=True)}: {_format_inline_node(entry.value, flow=True)}"
        for entry in node.entries
        if entry.key
    )
    return "{" + ", ".join(pairs) + "}"
