"""Render diagnostics in SARIF 2.1.0, the exchange format of code scanners (OASIS standard)."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, assert_never
from urllib.parse import quote

from reconciler.model.diagnostic import Diagnostic, Severity, Span
from reconciler.reports.diagnostics.places import make_readable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERSION = "2.1.0"
ROOT = "%SRCROOT%"
#: name of the fingerprint's algorithm; a new algorithm needs a new name
FINGERPRINT = "reconciler/v1"

_LINE_NUMBER = re.compile(r"\bline \d[\d,]*")

Object = dict[str, Any]


def render_sarif(diagnostics: Sequence[Diagnostic], path: Callable[[str], str], tool_version: str) -> str:
    """Return a log of one run. path: maps a file to its path below the repository's root, or to an absolute path.

    Columns count characters. A fingerprint consists of the rule, the file, the message without line numbers, and the
    number of equal ones before it, so that it stays the same when lines move.
    """
    rules = sorted({each.code for each in diagnostics})
    seen: Counter[str] = Counter()
    run: Object = {
        "tool": {
            "driver": {"name": "reconciler", "version": tool_version, "rules": [_build_rule(code) for code in rules]}
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The repository's root."}}},
        "results": [_build_result(each, rules, path, seen) for each in diagnostics],
    }
    return json.dumps({"$schema": SCHEMA, "version": VERSION, "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _build_rule(code: str) -> Object:
    return {"id": code, "shortDescription": {"text": code.replace("-", " ").capitalize() + "."}}


def _build_result(
    diagnostic: Diagnostic, rules: Sequence[str], path: Callable[[str], str], seen: Counter[str]
) -> Object:
    file = path(diagnostic.span.file) if diagnostic.span else ""
    mark = _compute_fingerprint(diagnostic, file)
    seen[mark] += 1
    hint = f"\n{diagnostic.hint}" if diagnostic.hint else ""
    result: Object = {
        "ruleId": diagnostic.code,
        "ruleIndex": rules.index(diagnostic.code),
        "level": _map_severity(diagnostic.severity),
        "message": {"text": make_readable(diagnostic.message + hint)},
    }
    if diagnostic.span is not None:
        result["locations"] = [{"physicalLocation": _build_location(diagnostic.span, file)}]
    return {**result, "partialFingerprints": {FINGERPRINT: f"{mark}:{seen[mark]}"}}


def _build_location(span: Span, file: str) -> Object:
    uri = quote(os.fsencode(file))
    place: Object = {"uri": f"file://{uri}"} if file.startswith("/") else {"uri": uri, "uriBaseId": ROOT}
    location: Object = {"artifactLocation": place}
    if span.line:
        location["region"] = {"startLine": span.line} | ({"startColumn": span.column} if span.column else {})
    return location


def _compute_fingerprint(diagnostic: Diagnostic, file: str) -> str:
    words = _LINE_NUMBER.sub("line", diagnostic.message)
    whole = "\0".join((diagnostic.code, file, words)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(whole).hexdigest()[:32]


def _map_severity(severity: Severity) -> str:
    match severity:
        case Severity.ERROR:
            return "error"
        case Severity.WARNING:
            return "warning"
        case Severity.INFO:
            return "note"
        case _:
            assert_never(severity)
