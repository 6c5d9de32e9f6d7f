"""One file's bytes in, its canonical text out; or why it is left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.config.formatting.comments import parse_with_comments
from reconciler.config.formatting.nodes import (
    SyntaxDocument,
    SyntaxNode,
    SyntaxScalar,
    SyntaxSequence,
    iter_node_comments,
)
from reconciler.config.formatting.order import detect_document_kind, sort_keys
from reconciler.config.formatting.write import get_scalar_meaning, render_document
from reconciler.config.yaml.reader import BOM, read_yaml
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, build_error


def parse_document(data: bytes, file: str) -> SyntaxDocument:
    """The document of a file with its comments. file: as messages call it. ConfigurationRefusal with every mistake
    that the reader sees, places included."""
    tree, found = read_yaml(data, file)
    if tree is None or found:
        raise ConfigurationRefusal(found)
    return parse_with_comments(_decode_text(data))


def format_canonical_text(data: bytes, file: str) -> str:
    """The canonical text of a file. Refusal as `opened` does, and where the text would not say the same."""
    document = parse_document(data, file)
    comments = Counter(iter_document_comments(document))
    sort_keys(document.root, detect_document_kind(document.root, file))
    text = render_document(document)
    if not has_same_meaning(text, file, document, comments):
        raise Refusal([build_not_the_same_error(file)])
    return text


def has_same_meaning(text: str, file: str, document: SyntaxDocument, comments: Counter[str]) -> bool:
    """Whether a text can be read, means the document's values, each of its kind, and holds just these comments."""
    tree, found = read_yaml(text.encode(), file)
    if tree is None or found:
        return False
    again = parse_with_comments(text)
    return (
        _extract_meaning(again.root) == _extract_meaning(document.root)
        and Counter(iter_document_comments(again)) == comments
    )


def build_not_the_same_error(file: str) -> Diagnostic:
    return build_error(
        "not-the-same",
        "written anew this file would not say what it says, so it is left as it is",
        Span(file),
        "this is a mistake of reconciler, please report it with the file",
    )


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8").removeprefix(BOM)


def iter_document_comments(document: SyntaxDocument) -> Iterator[str]:
    """Every comment of a file, those on its top first."""
    yield from filter(None, document.head)
    yield from iter_node_comments(document.root)


def _extract_meaning(node: SyntaxNode) -> object:
    if isinstance(node, SyntaxScalar):
        return get_scalar_meaning(node)
    if isinstance(node, SyntaxSequence):
        return [_extract_meaning(item.value) for item in node.entries]
    return {entry.name: _extract_meaning(entry.value) for entry in node.entries}
