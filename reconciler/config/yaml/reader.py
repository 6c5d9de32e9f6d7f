"""The one reader of YAML: bytes in, a tree with places out, and every mistake that a parser can see.

It reads the events of libyaml's parser and resolves scalars itself, by YAML 1.2: `no`, `on` and `02:30` are
texts. Not taken, each with a diagnostic: duplicate keys, aliases, anchors, merge keys, tags, keys that are no
text, several documents, tabs as indentation, bytes that are no UTF-8, files over a megabyte. No diagnostic
repeats a value, and a key only where it looks like one.
"""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from reconciler.config.yaml.tree import MappingNode, Mark, Node, Place, SequenceNode, key_span, value_span
from reconciler.model.diagnostic import Diagnostic, Span, error

try:
    from _ruamel_yaml import CParser  # ruamel.yaml.clib; never clibz or pure Python, which are slower by far
except ModuleNotFoundError as missing:
    raise ImportError("libyaml's parser is missing: install ruamel.yaml.clib") from missing


MAX_BYTES = 1_000_000
MAX_DEPTH = 50
NULLS = frozenset(("", "~", "null", "Null", "NULL"))
BOM = "\ufeff"
KEY_LIKE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(data: bytes, file: str) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """The document of one file; None where there is none that could be looked at further."""
    if len(data) > MAX_BYTES:
        return None, (too_large(file),)
    try:
        text = data.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as problem:
        return None, (_not_utf8(data, problem.start, file),)
    return _Reading(text, file).document()


def too_large(file: str) -> Diagnostic:
    return error(
        "file-too-large",
        f"the file is larger than {MAX_BYTES:,} bytes",
        Span(file),
        "one file describes one customer, community or lesson; split it",
    )


def _not_utf8(data: bytes, offset: int, file: str) -> Diagnostic:
    line = data.count(b"\n", 0, offset) + 1
    return error(
        "not-utf8",
        f"byte {offset} (counted from 0) is not UTF-8",
        Span(file, line, offset - data.rfind(b"\n", 0, offset)),
        "save the file as UTF-8",
    )


class _Reading:
    """The reading of one text."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._found: list[Diagnostic] = []
        self._next = CParser(text).get_event

    def document(self) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
        tree: MappingNode | None = None
        try:
            tree = self._only_document()
        except MarkedYAMLError as problem:
            self._found.append(self._syntax(problem))
        except YAMLError:
            self._found.append(self._not_printable())
        return tree, tuple(self._found)

    def _only_document(self) -> MappingNode | None:
        self._next()  # the start of the stream
        if isinstance(self._next(), StreamEndEvent):
            self._note("empty-file", "the file is empty", Span(self._file, 1, 1))
            return None
        event = self._next()
        place: Place = (self._file, event.start_mark, event.start_mark)
        node = self._node(event, place, 0)
        self._next()  # the end of the document
        after = self._next()
        if isinstance(after, DocumentStartEvent):
            self._note(
                "several-documents",
                "a second document begins here",
                _span(self._file, after.start_mark),
                "one file holds one document: put the second into a file of its own",
            )
            return None
        if isinstance(node, MappingNode):
            return node
        if node is None:
            self._note("empty-file", "the file says nothing", value_span(place))
        elif not self._found:
            self._note("wrong-type", "the document must be a mapping", value_span(place), "begin with `kind: …`")
        return None

    def _node(self, event: Any, place: Place, depth: int) -> Node:
        if type(event) is ScalarEvent:
            if event.ctag is not None or event.anchor is not None:
                self._decorated(event)
            value: str = event.value
            return None if value in NULLS and event.implicit[0] else value
        if depth >= MAX_DEPTH:
            raise MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        if type(event) is MappingStartEvent:
            return self._mapping(event, place, depth)
        if type(event) is SequenceStartEvent:
            return self._sequence(event, place, depth)
        if type(event) is AliasEvent:
            self._note(
                "alias",
                "an alias (*) is not allowed: every value is written where it is used",
                _span(self._file, event.start_mark),
                "what several customers share belongs in defaults.yaml; a text that begins with * needs quotes",
            )
        return None

    def _mapping(self, start: Any, place: Place, depth: int) -> MappingNode:
        if start.ctag is not None or start.anchor is not None:
            self._decorated(start)
        node = MappingNode(place)
        places = node.places
        file = self._file
        following = self._next
        # Almost all keys and values are undecorated scalars: a call for each would be a fifth of all reading.
        while True:
            event = following()
            if type(event) is MappingEndEvent:
                return node
            mark = event.start_mark
            if type(event) is ScalarEvent and event.ctag is None and event.anchor is None:
                text = event.value
                key: Node = None if text in NULLS and event.implicit[0] else text
            else:
                key = self._node(event, (file, mark, mark), depth + 1)
            event = following()
            value_place: Place = (file, mark, event.start_mark)
            if type(event) is ScalarEvent and event.ctag is None and event.anchor is None:
                text = event.value
                value: Node = None if text in NULLS and event.implicit[0] else text
            else:
                value = self._node(event, value_place, depth + 1)
            if not isinstance(key, str):
                self._note("key-not-text", "a key must be a text", _span(file, mark))
            elif key == "<<":
                self._note(
                    "merge-key",
                    "a merge key (<<) is not allowed: every value is written where it is used",
                    _span(file, mark),
                    "what several customers share belongs in defaults.yaml",
                )
            elif key in places:
                named = f" {key}" if KEY_LIKE.fullmatch(key) else ""
                first = key_span(places[key])
                self._note(
                    "duplicate-key",
                    f"duplicate key{named}; it is set in line {first.line} already",
                    _span(file, mark),
                    "keep one of the two",
                )
            else:
                places[key] = value_place
                node[key] = value

    def _sequence(self, start: Any, place: Place, depth: int) -> SequenceNode:
        if start.ctag is not None or start.anchor is not None:
            self._decorated(start)
        node = SequenceNode(place)
        while True:
            event = self._next()
            if type(event) is SequenceEndEvent:
                return node
            item: Place = (self._file, event.start_mark, event.start_mark)
            node.append(self._node(event, item, depth + 1))
            node.places.append(item)

    def _decorated(self, event: Any) -> None:
        where = _span(self._file, event.start_mark)
        if event.anchor is not None:
            self._note(
                "anchor",
                "an anchor (&) is not allowed",
                where,
                "what several customers share belongs in defaults.yaml; a text that begins with & needs quotes",
            )
        if event.tag is not None:
            self._note("tag", "a tag (!) is not allowed", where, "leave it out; a text that begins with ! needs quotes")

    def _syntax(self, problem: MarkedYAMLError) -> Diagnostic:
        """The parser's own words hold none of the text; what they mean by a tab they do not say."""
        mark = problem.problem_mark
        if mark is None:
            return error("yaml-syntax", str(problem.problem), Span(self._file))
        where = _span(self._file, mark)
        lines = self._text.split("\n", mark.line + 1)
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return error("tab-indentation", "a tab is used as indentation", where, "indent with spaces")
        hint = None
        if line[mark.column : mark.column + 1] in ("@", "`", "%"):
            hint = f"a text that begins with {line[mark.column]} needs quotes"
        elif line[mark.column : mark.column + 1] == ":" or "':'" in str(problem.problem):
            hint = "inside { } and [ ] a text that holds a colon needs quotes"
        elif "mapping values" in str(problem.problem):
            hint = "a text that holds a colon and a space needs quotes; or the line is indented too far"
        message = str(problem.problem)
        if problem.context and problem.context_mark is not None:
            message += f" ({problem.context} that begins in line {problem.context_mark.line + 1})"
        return error("yaml-syntax", message, where, hint)

    def _not_printable(self) -> Diagnostic:
        match = NOT_PRINTABLE.search(self._text)
        offset = match.start() if match else 0
        line = self._text.count("\n", 0, offset) + 1
        column = offset - self._text.rfind("\n", 0, offset)
        return error(
            "control-character",
            f"the character U+{ord(self._text[offset]):04X} is not allowed in YAML",
            Span(self._file, line, column),
            "delete it",
        )

    def _note(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self._found.append(error(code, message, span, hint))


def _span(file: str, mark: Mark) -> Span:
    return Span(file, mark.line + 1, mark.column + 1)
