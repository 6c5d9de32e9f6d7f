"""Reads YAML bytes into a tree whose values know their places, and reports every mistake that a parser can see.

It reads the events of libyaml's parser and resolves scalars itself, by YAML 1.2: `no`, `on` and `02:30` are strings.
Refused, each with a diagnostic: duplicate keys, aliases, anchors, merge keys, tags, keys that are not strings, several
documents, conflict markers, tabs as indentation, bytes that are not UTF-8, files over a megabyte. No diagnostic repeats
a value, and a key only if it looks like one.
"""

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

from reconciler.config.yaml.syntax_errors import describe_syntax_error, find_conflict_marker
from reconciler.config.yaml.tree import MappingNode, Mark, Node, Place, SequenceNode, get_key_span, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error
from reconciler.model.text_form import describe_character, find_hidden_character, make_visible_form

try:
    from _ruamel_yaml import CParser  # ruamel.yaml.clib; clibz and pure Python are 4 to 20 times slower
except ModuleNotFoundError as missing:
    raise ImportError("libyaml's parser is missing: install ruamel.yaml.clib") from missing


MAX_BYTES = 1_000_000
MAX_DEPTH = 50
HIDDEN_CHARACTER_HINT = "Delete it and type it again; invisible characters come with pasted text."
NULLS = frozenset(("", "~", "null", "Null", "NULL"))
BOM = "\ufeff"
KEY_LIKE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_yaml(data: bytes, file: str) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
    """Return the tree of a file and its diagnostics; no tree if the file has nothing to validate."""
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
        "Split the file: one file describes one customer, community or lesson.",
    )


def _build_not_utf8_error(data: bytes, offset: int, file: str) -> Diagnostic:
    line = data.count(b"\n", 0, offset) + 1
    return build_error(
        "not-utf8",
        f"byte {offset} (counted from 0) is not UTF-8",
        Span(file, line, offset - data.rfind(b"\n", 0, offset)),
        "Save the file as UTF-8.",
    )


class _TreeReader:
    """Reads one text."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._diagnostics: list[Diagnostic] = []
        self._next = CParser(text).get_event

    def read_document(self) -> tuple[MappingNode | None, tuple[Diagnostic, ...]]:
        conflict = find_conflict_marker(self._text, self._file)
        if conflict is not None:
            return None, (conflict,)
        tree: MappingNode | None = None
        try:
            tree = self._read_single_document()
        except MarkedYAMLError as problem:
            self._diagnostics.append(describe_syntax_error(problem, self._text, self._file))
        except YAMLError:
            self._diagnostics.append(self._describe_control_character())
        return tree, tuple(self._diagnostics)

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
                "a second document starts here",
                _make_span(self._file, after.start_mark),
                "Move the second document to a separate file.",
            )
            return None
        if isinstance(node, MappingNode):
            return node
        if node is None:
            self._add_error("empty-file", "the file has no content", get_value_span(place))
        elif not self._diagnostics:
            self._add_error(
                "wrong-type", "the document must be a mapping", get_value_span(place), "Start with `kind: …`."
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
                "YAML aliases (*) are not allowed",
                _make_span(self._file, event.start_mark),
                "Put shared values in defaults.yaml. Quote text that starts with *.",
            )
        return None

    def _read_mapping(self, start: Any, place: Place, depth: int) -> MappingNode:
        if start.ctag is not None or start.anchor is not None:
            self._report_anchor_and_tag(start)
        node = MappingNode(place)
        places = node.places
        file = self._file
        following = self._next
        # Almost all keys and values are plain scalars: a call for each would take a fifth of the reading time.
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
            if isinstance(key, str) and not key.isascii():
                key = self._check_hidden(key, mark)
            if not isinstance(key, str):
                self._add_error("key-not-text", "a key must be a string", _make_span(file, mark))
            elif key == "<<":
                self._add_error(
                    "merge-key",
                    "YAML merge keys (<<) are not allowed",
                    _make_span(file, mark),
                    "Put shared values in defaults.yaml.",
                )
            elif key in places:
                named = f" {key}" if KEY_LIKE.fullmatch(key) else ""
                first = get_key_span(places[key])
                self._add_error(
                    "duplicate-key",
                    f"duplicate key{named}; line {first.line} already sets it",
                    _make_span(file, mark),
                    "Keep one of the two.",
                )
            else:
                places[key] = value_place
                node[key] = value

    def _check_hidden(self, key: str, mark: Mark) -> str:
        """Return a key without invisible characters, and report the first one: the other keys are still checked."""
        place = find_hidden_character(key)
        if place is None:
            return key
        self._add_error(
            "invisible-character",
            f"a key must not contain {describe_character(key[place])} (character {place + 1})",
            Span(self._file, mark.line + 1, mark.column + 1),
            HIDDEN_CHARACTER_HINT,
        )
        return make_visible_form(key)

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
                "YAML anchors (&) are not allowed",
                where,
                "Put shared values in defaults.yaml. Quote text that starts with &.",
            )
        if event.tag is not None:
            self._add_error(
                "tag", "YAML tags (!) are not allowed", where, "Remove the tag. Quote text that starts with !."
            )

    def _describe_control_character(self) -> Diagnostic:
        match = NOT_PRINTABLE.search(self._text)
        offset = match.start() if match else 0
        line = self._text.count("\n", 0, offset) + 1
        column = offset - self._text.rfind("\n", 0, offset)
        return build_error(
            "control-character",
            f"the character U+{ord(self._text[offset]):04X} is not allowed in YAML",
            Span(self._file, line, column),
            "Delete it.",
        )

    def _add_error(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self._diagnostics.append(build_error(code, message, span, hint))


def _make_span(file: str, mark: Mark) -> Span:
    return Span(file, mark.line + 1, mark.column + 1)
