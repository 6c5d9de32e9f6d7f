"""The catalog of faults names tests that exist and codes that the program has."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]


def test_numbers_ascend_and_none_is_given_twice() -> None:
    numbers = [int(row[0]) for row in ROWS]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 102


def test_every_test_file_exists() -> None:
    for row in ROWS:
        files = re.findall(r"`(tests/[^`]+)`", row[4])
        assert files, row
        assert all((ROOT / each).is_file() for each in files), row


def test_every_code_is_one_of_the_program() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "reconciler").rglob("*.py"))
    for row in ROWS:
        for code in re.findall(r"`([^`]+)`", row[3]):
            assert f'"{code}"' in source or f"{code} =" in source or f" {code}" in source, (row[0], code)
