"""Cases of the strict check: an edit of a complete bundle, and what it must report."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler.oneroster.strict.rules import RULES
from tests.support.rosters.bundles import Bundle
from tests.support.rosters.strict_bundles import Found, as_delta, complete, hold, places, with_text

Bend = Callable[[Bundle], Bundle]


def row(table: str, key: str, **fields: str) -> Bend:
    return lambda made: made.with_row(table, key, **fields)


def text(file: str, old: str, new: str) -> Bend:
    return lambda made: with_text(made, file, old, new)


def raw(file: str, content: bytes) -> Bend:
    return lambda made: made.raw(file, content)


def delta(bend: Bend, *tables: str) -> Bend:
    return lambda made: bend(as_delta(made, *tables))


def several(*bends: Bend) -> Bend:
    def bent(made: Bundle) -> Bundle:
        for bend in bends:
            made = bend(made)
        return made

    return bent


def columns(table: str, names: str) -> Bend:
    """Return the file with these columns, in this order."""

    def bent(made: Bundle) -> Bundle:
        sink = io.StringIO()
        writer = csv.DictWriter(sink, names.split(), restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(made.tables[table])
        return made.raw(f"{table}.csv", sink.getvalue().encode())

    return bent


BOTH = ("1.1", "1.2")
NEW = ("1.2",)
MANIFEST = "manifest.csv"


class StrictCase(NamedTuple):
    name: str
    versions: tuple[str, ...]
    bend: Bend
    found: list[Found]


#: The rule that reports a violation, and the line and column where it does.
Place = tuple[str, int, int]

#: A name, the versions, an edit (file, old text, new text), and its place in that file.
TextCase = tuple[str, tuple[str, ...], tuple[str, str, str], Place]

#: A name, the versions, an edit (table, key, fields), and its place in the file of the table.
RowCase = tuple[str, tuple[str, ...], tuple[str, str, Mapping[str, str]], Place]


def expand_text_cases(cases: list[TextCase]) -> list[StrictCase]:
    return [
        StrictCase(name, versions, text(file, old, new), [(rule, file, line, column)])
        for name, versions, (file, old, new), (rule, line, column) in cases
    ]


def expand_row_cases(cases: list[RowCase]) -> list[StrictCase]:
    return [
        StrictCase(name, versions, row(table, key, **fields), [(rule, f"{table}.csv", line, column)])
        for name, versions, (table, key, fields), (rule, line, column) in cases
    ]


def parametrize_cases(cases: list[StrictCase]) -> list[Any]:
    return [pytest.param(version, case, id=f"{case.name}-{version}") for case in cases for version in case.versions]


def check_deviation(version: str, case: StrictCase, folder: Path) -> None:
    """Assert that the edited bundle has exactly the deviations of the case."""
    letter = hold(case.bend(complete(version)), folder)
    assert places(letter.diagnostics) == case.found, places(letter.diagnostics)
    assert sum(letter.counts.values()) == len(case.found), letter.counts
    for diagnostic in letter.diagnostics:
        rule = RULES[diagnostic.code]
        assert (diagnostic.severity, diagnostic.hint) == (rule.severity, rule.hint), diagnostic
