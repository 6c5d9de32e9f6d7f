"""Describes YAML syntax errors: the parser's message with a hint that fits the mistake in the text.

No message or hint repeats the file's text, apart from single punctuation characters.
"""

import re

from ruamel.yaml.error import MarkedYAMLError

from reconciler.model.diagnostic import Diagnostic, Span, build_error
from reconciler.model.text_form import describe_character, find_hidden_character

#: the lines that git writes around both sides of a merge conflict
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: .*)?$", re.MULTILINE)
#: a key and the start of its value, as far as one line shows it
_KEY_LINE = re.compile(r"\s*(?:- +)*(?:\"[^\"]*\"|'[^']*'|[^\s#'\"{\[][^#]*?):(?:\s+(?P<value>[^#\s].*))?(?:\s.*)?$")
#: the line breaks of YAML 1.1, which the parser counts
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TEXT_AFTER_QUOTE = re.compile(r":\s+(?:'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\")\s*[^\s#]")

#: part of the parser's message or its context -> hint, with `{line}` for the line where the construct starts;
#: the first row that fits counts
_HINTS: tuple[tuple[str, str], ...] = (
    ("scanning a quoted scalar, unexpected end", "Close the quote that opens in line {line}."),
    ("scanning a quoted scalar, document indicator", "Close the quote that opens in line {line}."),
    ("unknown escape character", r"Write \\ for a backslash, or put the text in single quotes."),
    ("decimal number", r"Write \\ for a backslash, or put the text in single quotes."),
    ("scanning an alias", "Quote text that starts with *."),
    ("scanning an anchor", "Quote text that starts with &."),
    ("scanning a tag", "Quote text that starts with !."),
    ("scanning a directive", "Quote text that starts with %."),
    ("scanning a block scalar", "Begin the text on the line below | or >. Quote text that starts with | or >."),
    ("unexpected ':'", "Quote text that contains a colon inside { } or [ ]."),
    ("parsing a flow mapping", "Close the brace that opens in line {line}, or add the missing comma."),
    ("parsing a flow sequence", "Close the bracket that opens in line {line}, or add the missing comma."),
    ("'-' indicator", "Start each item of the list with a dash, and align the keys of an item."),
    ("expected ':'", "Write `key: value`, with a space after the colon."),
    ("expected <document start>", "Delete the line `...` and what follows it: one file has one document."),
)


def find_conflict_marker(text: str, file: str) -> Diagnostic | None:
    """Return an error at the first conflict marker of git, or None. Both the start and the end of one are needed."""
    if "\n<<<<<<<" not in f"\n{text}" or "\n>>>>>>>" not in text:
        return None
    marker = _CONFLICT.search(text)
    if marker is None:
        return None
    return build_error(
        "conflict-marker",
        "a merge conflict is not resolved",
        Span(file, text.count("\n", 0, marker.start()) + 1, 1),
        "Keep one of the two sides, and delete the lines that start with <<<<<<<, ======= and >>>>>>>.",
    )


def describe_syntax_error(problem: MarkedYAMLError, text: str, file: str) -> Diagnostic:
    """Return the parser's message, which never contains the file's text, with a hint for the likely mistake."""
    mark = problem.problem_mark
    if mark is None:
        return build_error("yaml-syntax", str(problem.problem), Span(file))
    where = Span(file, mark.line + 1, mark.column + 1)
    lines = _LINE_BREAK.split(text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return build_error("tab-indentation", "a tab is used as indentation", where, "Indent with spaces.")
    message = str(problem.problem)
    started = problem.context_mark.line + 1 if problem.context and problem.context_mark is not None else None
    hint = _find_hint(message, problem.context or "", lines, mark.line, mark.column, started)
    hidden = find_hidden_character(line)
    if hidden is not None:
        hint = f"Replace {describe_character(line[hidden])} in column {hidden + 1} by a space or nothing."
    if started is not None:
        message += f" ({problem.context} that starts in line {started})"
    return build_error("yaml-syntax", message, where, hint)


def _find_hint(
    message: str, context: str, lines: list[str], number: int, column: int, started: int | None
) -> str | None:
    line = lines[number] if number < len(lines) else ""
    if line[column : column + 1] in ("@", "`", "%"):
        return f"Quote text that starts with {line[column]}."
    if "mapping values" in message:
        return _describe_misplaced_colon(lines, number, column)
    for fragments, hint in _HINTS:
        if all(each in f"{message} {context}" for each in fragments.split(", ")):
            return hint.replace("{line}", str(started))
    if "parsing a block mapping" in context or "parsing a block collection" in context:
        return _describe_misplaced_text(line, column)
    return None


def _describe_misplaced_colon(lines: list[str], number: int, column: int) -> str:
    """Return a hint for a key where the parser is still inside a value that began before."""
    before = lines[number][:column] if number < len(lines) else ""
    if re.search(r":\s", before) or re.search(r",\s", before):
        return "Quote text that contains a colon and a space."
    previous = next(
        (at for at in range(number - 1, -1, -1) if lines[at].strip() and not lines[at].lstrip().startswith("#")), None
    )
    if previous is None:
        return "Quote text that contains a colon and a space."
    key_line = _KEY_LINE.match(lines[previous])
    if key_line is None:
        return f"Write line {previous + 1} as `key: value`, with a space after the colon."
    return f"Align this line with the keys around it: line {previous + 1} already has a value."


def _describe_misplaced_text(line: str, column: int) -> str:
    """Return a hint for text where the parser expects a new key."""
    if _TEXT_AFTER_QUOTE.search(line):
        return "Write an apostrophe twice inside single quotes, or quote the whole text with double quotes."
    if line[column : column + 1] in ("]", "}"):
        return f"Delete this {line[column]}, or quote the text."
    return "Align this line with the keys around it."
