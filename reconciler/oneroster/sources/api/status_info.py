"""What a server says of an error: imsx_StatusInfo of OneRoster 1.1 and 1.2, and OAuth 2's error (RFC 6749, 5.2).

Only these fields are ever repeated, in one line and cut; any other text of a body may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

#: Characters that are repeated of one text.
CUT = 200

#: What an envelope of the information is called; some servers have none.
_ENVELOPES = ("imsx_StatusInfo", "imsx_statusInfo", "statusInfo", "statusInfoSet", "statusInfoPayload")
_MINOR = ("imsx_CodeMinor", "imsx_codeMinor")


def said(body: bytes, secrets: Iterable[str] = ()) -> str:
    """Major code, minor codes and description, such as `failure, invalid_filter_field: no such field`; empty where the
    body has none of them. secrets: texts that are never repeated."""
    info = next(_infos(parsed(body)), None)
    if info is None:
        return ""
    codes = [each for each in (text(info.get("imsx_codeMajor"), secrets), *_minor(info, secrets)) if each]
    description = text(info.get("imsx_description"), secrets)
    return ": ".join(part for part in (", ".join(codes), description) if part)


def oauth_error(body: bytes, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """`error` and `error_description` of a token endpoint, each empty where it is not there."""
    document = parsed(body)
    if not isinstance(document, dict):
        return "", ""
    return text(document.get("error"), secrets), text(document.get("error_description"), secrets)


def parsed(body: bytes) -> Any:
    """The body as Python values; None where it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def text(value: object, secrets: Iterable[str] = ()) -> str:
    """A server's text in one line, cut, without what a terminal would obey; empty where it is not text."""
    if not isinstance(value, str):
        return ""
    for secret in secrets:
        if secret:
            value = value.replace(secret, "…")
    line = "".join(sign for sign in " ".join(value.split()) if sign.isprintable())
    return line if len(line) <= CUT else line[: CUT - 1] + "…"


def _infos(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return
    if "imsx_codeMajor" in document or "imsx_description" in document:
        yield document
    for name in _ENVELOPES:
        inner = document.get(name)
        for each in inner if isinstance(inner, list) else [inner]:
            yield from _infos(each)


def _minor(info: Mapping[str, Any], secrets: Iterable[str]) -> Iterator[str]:
    """A plain string, or {imsx_codeMinorField: [{imsx_codeMinorFieldValue}]}."""
    for name in _MINOR:
        minor = info.get(name)
        yield text(minor, secrets)
        fields = minor.get("imsx_codeMinorField") if isinstance(minor, dict) else None
        for field in fields[:3] if isinstance(fields, list) else [fields]:
            if isinstance(field, dict):
                yield text(field.get("imsx_codeMinorFieldValue"), secrets)
