"""What a body is that is not JSON, in words."""

from __future__ import annotations

import re

_MARKUP = re.compile(rb"<(!doctype\s+html|html|head|body|title|form|script)\b", re.IGNORECASE)
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


def kind_of(content_type: str, body: bytes) -> str:
    """Such as `an HTML page`. Nothing of the body is repeated."""
    start = body[:2048].lstrip()
    if not start:
        return "nothing at all"
    if _MARKUP.search(start):
        return "an HTML page"
    if start.startswith(b"<"):
        return "XML"
    known = _TYPE.match(content_type)
    if known and "json" not in known[0]:
        return "an HTML page" if "html" in known[0] else f"something of type {known[0][:60]}"
    return "something that cannot be read"
