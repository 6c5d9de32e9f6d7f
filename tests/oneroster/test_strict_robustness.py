"""The strict check ends for any bytes, counts what it lists, and repeats no value."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Severity
from reconciler.oneroster.strict.check import StrictReport, check_against_standard
from reconciler.oneroster.strict.rules import REFUSALS, RULES
from reconciler.oneroster.strict.tables import TABLES
from tests.support.rosters.bundles import Bundle
from tests.support.rosters.strict_bundles import complete

pytestmark = pytest.mark.slow

MADE = {version: complete(version) for version in TABLES}
SCRAPS = st.sampled_from(
    [b'"', b",", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b'"",', b";", b" ", b'"\n"', b"\xe2\x80\xa8", b""]
)
VALUE = "Zebra77"


def outcome(path: Path, most: int | None = None) -> StrictReport:
    letter = check_against_standard(path, most=most)
    assert all(map(str, letter.diagnostics))
    listed = Counter(each.code for each in letter.diagnostics if each.severity is not Severity.INFO)
    assert listed.keys() <= RULES.keys() | REFUSALS.keys()
    for code, count in letter.counts.items():
        assert listed[code] == (count if most is None else min(most, count))
    return letter


@given(
    version=st.sampled_from(sorted(TABLES)),
    data=st.data(),
    content=st.one_of(st.binary(max_size=200), st.lists(SCRAPS, max_size=30).map(b"".join)),
)
@settings(max_examples=40, deadline=None)
def test_any_bytes_under_any_name_of_the_standard(version: str, data: st.DataObject, content: bytes) -> None:
    file = data.draw(st.sampled_from([*sorted(TABLES[version]), "manifest"]))
    with TemporaryDirectory() as folder:
        outcome(MADE[version].raw(f"{file}.csv", content).zip(Path(folder) / "roster.zip"))


@given(
    version=st.sampled_from(sorted(TABLES)),
    data=st.data(),
    hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), SCRAPS), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_a_damaged_file(version: str, data: st.DataObject, hits: list[tuple[float, int, bytes]]) -> None:
    made = MADE[version]
    file = data.draw(st.sampled_from(sorted(made.files())))
    content = bytearray(made.files()[file])
    for share, length, scrap in hits:
        at = int(share * len(content))
        content[at : at + length] = scrap
    with TemporaryDirectory() as folder:
        outcome(made.raw(file, bytes(content)).zip(Path(folder) / "roster.zip"), most=2)


@given(hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_an_archive_with_changed_bytes(hits: list[tuple[float, int]]) -> None:
    with TemporaryDirectory() as folder:
        path = MADE["1.2"].zip(Path(folder) / "roster.zip")
        content = bytearray(path.read_bytes())
        for share, value in hits:
            content[int(share * (len(content) - 1))] = value
        path.write_bytes(content)
        outcome(path)


def everywhere(made: Bundle) -> Bundle:
    """Return files with the same value in every column of every row, except row keys."""
    for table, rows in made.tables.items():
        names = TABLES[made.version][table].names
        made = made.with_rows(table, ({**dict.fromkeys(names, VALUE), "sourcedId": row["sourcedId"]} for row in rows))
    return made


def headerless(made: Bundle) -> Bundle:
    for table in made.tables:
        made = made.raw(f"{table}.csv", made.text(table).partition("\n")[2].encode())
    return made


def shifted(made: Bundle) -> Bundle:
    """Return every file under the name of the next, manifest included."""
    files = made.files()
    for name, content in zip(files, [*list(files.values())[1:], next(iter(files.values()))], strict=True):
        made = made.raw(name, content)
    return made


@pytest.mark.parametrize("version", sorted(TABLES))
@pytest.mark.parametrize("bend", [lambda made: made, headerless, shifted])
def test_no_value_of_a_row_is_repeated(version: str, bend, tmp_path: Path) -> None:
    letter = outcome(bend(everywhere(MADE[version])).zip(tmp_path / "roster.zip"))
    assert letter.counts
    assert not any(VALUE in str(diagnostic) for diagnostic in letter.diagnostics)


def test_first_of_each_rule_are_listed_and_others_counted(tmp_path: Path) -> None:
    made = MADE["1.1"]
    for number in range(30):
        made = made.with_row("categories", f"cat-{number}", title="")
    letter = outcome(made.zip(tmp_path / "roster.zip"), most=20)
    assert letter.counts == {"strict-missing-required-value": 30}
    assert [each.span.line for each in letter.diagnostics if each.span is not None] == list(range(3, 23))
    more = letter.diagnostics[-1]
    assert (more.severity, more.message) == (Severity.INFO, "10 more violations of this rule are not listed")
