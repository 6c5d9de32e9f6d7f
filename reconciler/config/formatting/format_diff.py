"""Renders the diff of formatting a file, without secrets."""

import re
from collections.abc import Iterator
from difflib import unified_diff

from reconciler.config.formatting.nodes import SyntaxMapping, SyntaxNode, SyntaxScalar, SyntaxSequence
from reconciler.config.models.secret import SECRET_KEYS

HIDDEN = "…"
#: keys that accept only a reference: a string there is a literal secret
_REFERENCES = SECRET_KEYS & {"password", "shared_secret", "previous_secret", "secret_key", "private_key"}
_PASSWORD_PATTERN = re.compile(r"://[^/@\s]*:([^/@\s]+)@")
_NO_NEWLINE = "\\ No newline at end of file\n"


def render_diff(before: str, after: str, file: str, root: SyntaxMapping) -> str:
    """Return a unified diff. A literal secret in the file, instead of a reference or in a URL, is hidden.

    root: of the file before.
    """
    lines = unified_diff(_split_lines(before), _split_lines(after), f"a/{file}", f"b/{file}")
    text = "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)
    for secret in sorted(_find_literal_secrets(root), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _split_lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")[:-1]] + ([text.rpartition("\n")[2]] if text[-1:] != "\n" else [])


def _find_literal_secrets(node: SyntaxNode, name: str = "") -> Iterator[str]:
    if isinstance(node, SyntaxScalar):
        if name in _REFERENCES:
            yield from filter(None, (part.strip() for part in node.value.split("\n")))
        yield from _PASSWORD_PATTERN.findall(node.value)
    elif isinstance(node, SyntaxSequence):
        for item in node.entries:
            yield from _find_literal_secrets(item.value, name)
    else:
        for entry in node.entries:
            yield from _find_literal_secrets(entry.value, entry.name)
