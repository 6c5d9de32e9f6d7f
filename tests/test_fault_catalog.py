"""Compares the catalog of faults with the tests of each number and the codes of the program."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Faults up to this number are tested in tests/faults; later rows name their tests in a column of their own.
LAST_OF_THE_LIST = 101
PAGES = ("docs/reference/faults.md", "docs/reference/faults-from-102.md")
RESULTS = ("refused", "held", "quarantined", "warned", "survived", "no test")


@dataclass(frozen=True)
class Row:
    """One fault of the catalog."""

    number: int
    outcome: str
    codes: tuple[str, ...]
    #: test files that the row names
    files: tuple[str, ...]


def read_rows() -> list[Row]:
    rows = []
    for line in "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES).splitlines():
        if re.match(r"\| \d+ \|", line):
            number, _, outcome, code, *tests = (cell.strip() for cell in line.strip().strip("|").split(" | "))
            files = re.findall(r"`(tests/[^`]+)`", "".join([outcome, *tests]))
            rows.append(Row(int(number), outcome, tuple(re.findall(r"`([^`]+)`", code)), tuple(files)))
    return rows


ROWS = read_rows()


@cache
def read_cases() -> dict[int, dict[str, str]]:
    """Return the source of each number's tests, decorators included, by file."""
    cases: dict[int, dict[str, str]] = defaultdict(dict)
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            # Numbers have two digits or more: test_1_2_… is about OneRoster 1.2.
            if isinstance(node, ast.FunctionDef) and (found := re.match(r"test_(\d{2,3})_", node.name)):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
                file = str(path.relative_to(ROOT))
                cases[int(found[1])][file] = cases[int(found[1])].get(file, "") + source
    return cases


def test_numbers_run_without_gap_or_double() -> None:
    assert [row.number for row in ROWS] == [*range(1, len(ROWS) + 1)]
    assert len(ROWS) > LAST_OF_THE_LIST


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_each_fault_has_tests_or_a_reason(row: Row) -> None:
    assert all((ROOT / file).is_file() for file in row.files)
    if row.number > LAST_OF_THE_LIST:
        assert row.files
        assert set(read_cases().get(row.number, {})) <= set(row.files)
    elif row.number not in read_cases():
        assert row.files or re.match(r"no test: \w+", row.outcome)


@pytest.mark.parametrize("row", ROWS[:LAST_OF_THE_LIST], ids=lambda row: str(row.number))
def test_each_outcome_begins_with_its_result(row: Row) -> None:
    assert row.outcome.startswith(RESULTS)
    assert row.outcome.startswith("no test") <= (row.number not in read_cases())


def test_every_number_of_a_fault_test_is_in_the_catalog() -> None:
    cases = {
        number for number, files in read_cases().items() if any(file.startswith("tests/faults/") for file in files)
    }
    assert cases <= {row.number for row in ROWS}


@cache
def read_program() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "reconciler").rglob("*.py"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_every_code_is_one_of_the_program(row: Row) -> None:
    assert [code for code in row.codes if f'"{code}"' not in read_program()] == []


@pytest.mark.parametrize("row", ROWS[:LAST_OF_THE_LIST], ids=lambda row: str(row.number))
def test_every_code_is_asserted_by_the_tests_of_its_fault(row: Row) -> None:
    sources = [*read_cases().get(row.number, {}).values()]
    sources += [(ROOT / file).read_text(encoding="utf-8") for file in row.files]
    assert [code for code in row.codes if code not in "".join(sources)] == []
