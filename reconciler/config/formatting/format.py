"""One file's bytes in, its canonical text out; or why it is left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.config.formatting.comments import with_comments
from reconciler.config.formatting.nodes import Document, Node, Scalar, Sequence, comments_in
from reconciler.config.formatting.order import arrange, kind_of
from reconciler.config.formatting.write import meaning, written
from reconciler.config.yaml.reader import BOM, read
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Refusal, Span, error


def opened(data: bytes, file: str) -> Document:
    """The document of a file with its comments. file: as messages call it. ConfigurationRefusal with every mistake
    that the reader sees, places included."""
    tree, found = read(data, file)
    if tree is None or found:
        raise ConfigurationRefusal(found)
    return with_comments(_text(data))


def canonical(data: bytes, file: str) -> str:
    """The canonical text of a file. Refusal as `opened` does, and where the text would not say the same."""
    document = opened(data, file)
    comments = Counter(comments_of_document(document))
    arrange(document.root, kind_of(document.root, file))
    text = written(document)
    if not says(text, file, document, comments):
        raise Refusal([not_the_same(file)])
    return text


def says(text: str, file: str, document: Document, comments: Counter[str]) -> bool:
    """Whether a text can be read, means the document's values, each of its kind, and holds just these comments."""
    tree, found = read(text.encode(), file)
    if tree is None or found:
        return False
    again = with_comments(text)
    return _meaning(again.root) == _meaning(document.root) and Counter(comments_of_document(again)) == comments


def not_the_same(file: str) -> Diagnostic:
    return error(
        "not-the-same",
        "written anew this file would not say what it says, so it is left as it is",
        Span(file),
        "this is a mistake of reconciler, please report it with the file",
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8").removeprefix(BOM)


def comments_of_document(document: Document) -> Iterator[str]:
    """Every comment of a file, those on its top first."""
    yield from filter(None, document.head)
    yield from comments_in(document.root)


def _meaning(node: Node) -> object:
    if isinstance(node, Scalar):
        return meaning(node)
    if isinstance(node, Sequence):
        return [_meaning(item.value) for item in node.entries]
    return {entry.name: _meaning(entry.value) for entry in node.entries}
