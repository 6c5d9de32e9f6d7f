"""Formats the bytes of a YAML file as canonical text, or reports why it cannot."""

from collections import Counter
from collections.abc import Iterator

from reconciler.config.formatting import nodes
from reconciler.config.formatting.comments import parse_with_comments
from reconciler.config.formatting.order import detect_document_kind, sort_keys
from reconciler.config.formatting.write import get_scalar_meaning, render_document
from reconciler.config.yaml.reader import BOM, read_yaml
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, build_error


def parse_document(data: bytes, file: str) -> nodes.SyntaxDocument:
    """Return the document of a file with its comments.

    file: as messages call it. Raises ConfigurationRefusal with every mistake that the reader finds.
    """
    tree, diagnostics = read_yaml(data, file)
    if tree is None or diagnostics:
        raise ConfigurationRefusal(diagnostics)
    return parse_with_comments(_decode_text(data))


def format_canonical_text(data: bytes, file: str) -> str:
    """Return the canonical text of a file.

    Raises Refusal as `parse_document` does, and if formatting would change the file's meaning.
    """
    document = parse_document(data, file)
    comments = Counter(iter_document_comments(document))
    sort_keys(document.root, detect_document_kind(document.root, file))
    text = render_document(document)
    if not has_same_meaning(text, file, document, comments):
        raise Refusal([build_not_the_same_error(file)])
    return text


def has_same_meaning(text: str, file: str, document: nodes.SyntaxDocument, comments: Counter[str]) -> bool:
    """Return whether a text is readable and has the document's values, with their kinds, and exactly these comments."""
    tree, diagnostics = read_yaml(text.encode(), file)
    if tree is None or diagnostics:
        return False
    written = parse_with_comments(text)
    return (
        _extract_meaning(written.root) == _extract_meaning(document.root)
        and Counter(iter_document_comments(written)) == comments
    )


def build_not_the_same_error(file: str) -> Diagnostic:
    return build_error(
        "not-the-same",
        "file not formatted, because formatting would change its meaning",
        Span(file),
        "Please report this bug in reconciler and attach the file.",
    )


def _decode_text(data: bytes) -> str:
    return data.decode("utf-8").removeprefix(BOM)


def iter_document_comments(document: nodes.SyntaxDocument) -> Iterator[str]:
    """Yield every comment of a file, those at the top first."""
    yield from filter(None, document.head)
    yield from nodes.iter_node_comments(document.root)


def _extract_meaning(node: nodes.SyntaxNode) -> object:
    if isinstance(node, nodes.SyntaxScalar):
        return get_scalar_meaning(node)
    if isinstance(node, nodes.SyntaxSequence):
        return [_extract_meaning(item.value) for item in node.entries]
    return {entry.name: _extract_meaning(entry.value) for entry in node.entries}
