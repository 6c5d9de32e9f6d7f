"""Whether a body is JSON, and what it is if not, in words."""

from __future__ import annotations

import re

import orjson

_MARKUP = re.compile(rb"<(!doctype\s+html|html|head|body|title|form|script)\b", re.IGNORECASE)
_BRACKETS = ((b"{", b"}"), (b"[", b"]"))
#: How a page ends, and one record: in two brackets. Most bodies that are cut do not.
_TAIL = re.compile(rb"[\]}]\s*}\s*\Z")
_TAIL_LENGTH = 256
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


def is_json(body: bytes) -> bool:
    """Told by its ends, or by its brackets where they are in order, which costs next to nothing: whoever reads it finds
    out about the rest. Where they are not, which may come of a bracket within a text, all of it is read."""
    if body.lstrip()[:1] == b"{" and _TAIL.search(body[-_TAIL_LENGTH:]):
        return True
    ends = body.strip()
    if ends[:1] + ends[-1:] in (b"{}", b"[]") and all(body.count(a) == body.count(b) for a, b in _BRACKETS):
        return True
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


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
