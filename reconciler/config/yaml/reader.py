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

from reconciler.config.yaml.tree import MappingNode, Mark, Node, Place, SequenceNode, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error

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


def read_yaml(data: bytes, file: str) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """The document of one file; None where there is none that could be looked at further."""
    if len(data) > MAX_BYTES:
        return None, (build_too_large_error(file),)
    try:
        text = data.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as problem:
        return None, (_build_not_utf8_error(data, problem.start, file),)
    return _TreeReader(text, file).read_document()


def build_too_large_error(file: str) -> Diagnostic:
    return build_error(
        "file-too-large",
        f"the file is larger than {MAX_BYTES:,} bytes",
        Span(file),
        "one file describes one customer, community or lesson; split it",
    )


def _build_not_utf8_error(data: bytes, offset: int, file: str) -> Diagnostic:
    line = data.count(b"\n", 0, offset) + 1
    return build_error(
        "not-utf8",
        f"byte {offset} (counted from 0) is not UTF-8",
        Span(file, line, offset - data.rfind(b"\n", 0, offset)),
        "save the file as UTF-8",
    )


class _TreeReader:
    """The reading of one text."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._found: list[Diagnostic] = []
        self._next = CParser(text).get_event

    def read_document(self) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
        tree: MappingNode | None = None
        try:
            tree = self._read_single_document()
        except MarkedYAMLError as problem:
            self._found.append(self._describe_syntax_error(problem))
        except YAMLError:
            self._found.append(self._describe_control_character())
        return tree, tuple(self._found)

    def _read_single_document(self) -> MappingNode | None:
        self._next()  # the start of the stream
        if isinstance(self._next(), StreamEndEvent):
            self._add_error("empty-file", "the file is empty", Span(self._file, 1, 1))
            return None
        event = self._next()
        place: Place = (self._file, event.start_mark, event.start_mark)
        node = self._read_node(event, place, 0)
        self._next()  # the end of the document
        after = self._next()
        if isinstance(after, DocumentStartEvent):
            self._add_error(
                "several-documents",
                "a second document begins here",
                _make_span(self._file, after.start_mark),
                "one file holds one document: put the second into a file of its own",
            )
            return None
        if isinstance(node, MappingNode):
            return node
        if node is None:
            self._add_error("empty-file", "the file says nothing", get_value_span(place))
        elif not self._found:
            self._add_error(
                "wrong-type", "the document must be a mapping", get_value_span(place), "begin with `kind: …`"
            )
        return None

    def _read_node(self, event: Any, place: Place, depth: int) -> Node:
        if type(event) is ScalarEvent:
            if event.ctag is not None or event.anchor is not None:
                self._report_anchor_and_tag(event)
            value: str = event.value
            return None if value in NULLS and event.implicit[0] else value
        if depth >= MAX_DEPTH:
            raise MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=event.start_mark)
        if type(event) is MappingStartEvent:
            return self._read_mapping(event, place, depth)
        if type(event) is SequenceStartEvent:
            return self._read_sequence(event, place, depth)
        if type(event) is AliasEvent:
            self._add_error(
                "alias",
                "an alias (*) is not allowed: every value is written where it is used",
                _make_span(self._file, event.start_mark),
                "what several customers share belongs in defaults.yaml; a text that begins with * needs quotes",
            )
        return None

    def _read_mapping(self, start: Any, place: Place, depth: int) -> MappingNode:
        if start.ctag is not None or start.anchor is not None:
            self._report_anchor_and_tag(start)
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
                key = self._read_node(event, (file, mark, mark), depth + 1)
            event = following()
            value_place: Place = (file, mark, event.start_mark)
            if type(event) is ScalarEvent and event.ctag is None and event.anchor is None:
                text = event.value
                value: Node = None if text in NULLS and event.implicit[0] else text
            else:
                value = self._read_node(event, value_place, depth + 1)
            if not isinstance(key, str):
                self._add_error("key-not-text", "a key must be a text", _make_span(file, mark))
            elif key == "<<":
                self._add_error(
                    "merge-key",
                    "a merge key (<<) is not allowed: every value is written where it is used",
                    _make_span(file, mark),
                    "what several customers share belongs in defaults.yaml",
                )
            elif key in places:
                named = f" {key}" if KEY_LIKE.fullmatch(key) else ""
                first = get_key_span(places[key])
                self._add_error(
                    "duplicate-key",
                    f"duplicate key{named}; it is set in line {first.line} already",
                    _make_span(file, mark),
                    "keep one of the two",
                )
            else:
                places[key] = value_place
                node[key] = value

    def _read_sequence(self, start: Any, place: Place, depth: int) -> SequenceNode:
        if start.ctag is not None or start.anchor is not None:
            self._report_anchor_and_tag(start)
        node = SequenceNode(place)
        while True:
            event = self._next()
            if type(event) is SequenceEndEvent:
                return node
            item: Place = (self._file, event.start_mark, event.start_mark)
            node.append(self._read_node(event, item, depth + 1))
            node.places.append(item)

    def _report_anchor_and_tag(self, event: Any) -> None:
        where = _make_span(self._file, event.start_mark)
        if event.anchor is not None:
            self._add_error(
                "anchor",
                "an anchor (&) is not allowed",
                where,
                "what several customers share belongs in defaults.yaml; a text that begins with & needs quotes",
            )
        if event.tag is not None:
            self._add_error(
                "tag", "a tag (!) is not allowed", where, "leave it out; a text that begins with ! needs quotes"
            )

    def _describe_syntax_error(self, problem: MarkedYAMLError) -> Diagnostic:
        """The parser's own words hold none of the text; what they mean by a tab they do not say."""
        mark = problem.problem_mark
        if mark is None:
            return build_error("yaml-syntax", str(problem.problem), Span(self._file))
        where = _make_span(self._file, mark)
        lines = self._text.split("\n", mark.line + 1)
        line = lines[mark.line] if mark.line < len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return build_error("tab-indentation", "a tab is used as indentation", where, "indent with spaces")
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
        return build_error("yaml-syntax", message, where, hint)

    def _describe_control_character(self) -> Diagnostic:
        match = NOT_PRINTABLE.search(self._text)
        offset = match.start() if match else 0
        line = self._text.count("\n", 0, offset) + 1
        column = offset - self._text.rfind("\n", 0, offset)
        return build_error(
            "control-character",
            f"the character U+{ord(self._text[offset]):04X} is not allowed in YAML",
            Span(self._file, line, column),
            "delete it",
        )

    def _add_error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self._found.append(build_error(code, message, span, hint))


def _make_span(file: str, mark: Mark) -> Span:
    return Span(file, mark.line + 1, mark.column + 1)
