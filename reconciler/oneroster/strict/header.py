"""Checks the header row: all columns, spelled exactly, in order, extensions last."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.oneroster.csv_file.header import clean_name, split_header
from reconciler.oneroster.standard.tables import ALIASES
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.tables import StrictTable

EXTENSION = "metadata."


@dataclass(frozen=True, slots=True)
class StrictHeader:
    """The header row of a file."""

    #: Number of fields of each row.
    width: int
    #: Index of each existing column, from 0, by the standard's name.
    positions: Mapping[str, int]


def check_header(table: StrictTable, line: str, findings: Findings) -> StrictHeader | None:
    """Check a header row, and return None if it is malformed.

    No message repeats a name that is not in the standard: in a file without a header, it may be a person's name.
    """
    if line.count('"') % 2:
        findings.add_finding("strict-unclosed-quote", "a quotation mark in the header row is not closed", table.file, 1)
        return None
    try:
        written = split_header(line)
    except csv.Error:
        findings.add_finding("strict-unreadable-csv", "the header row cannot be read", table.file, 1)
        return None
    positions = _map_positions(table, written, findings)
    _check_order(table, positions, findings)
    last = max(positions.values(), default=-1)
    for place, name in enumerate(written):
        if _is_extension(name) and place < last:
            message = "a metadata column is before columns of the standard"
            findings.add_finding("strict-metadata-column-position", message, table.file, 1, place + 1)
    for place, name in enumerate(table.names, start=1):
        if name not in positions:
            findings.add_finding("strict-missing-column", f"column {name} is missing", table.file, 1, place)
    return StrictHeader(len(written), positions)


def _map_positions(table: StrictTable, raw_names: Sequence[str], findings: Findings) -> dict[str, int]:
    known = {name.lower(): name for name in table.names}
    known |= {alias: name for alias, name in ALIASES.items() if name in table.names}
    positions: dict[str, int] = {}
    extensions: set[str] = set()
    for place, name in enumerate(raw_names):
        cleaned = clean_name(name)
        meant = known.get(cleaned.lower())
        if not cleaned:
            findings.add_finding(
                "strict-empty-header-name", f"column {place + 1} has no name", table.file, 1, place + 1
            )
        elif meant in positions or name in extensions:
            message = f"column {meant or 'metadata'} is repeated"
            findings.add_finding("strict-duplicate-header", message, table.file, 1, place + 1)
        elif meant is not None:
            positions[meant] = place
            if name != meant:
                findings.add_finding(
                    "strict-header-spelling", f"column {meant} is misspelled", table.file, 1, place + 1
                )
        elif _is_extension(name):
            extensions.add(name)
        else:
            message = f"column {place + 1} is not in the standard and is not named metadata.NAME"
            findings.add_finding("strict-invalid-metadata-header", message, table.file, 1, place + 1)
    return positions


def _check_order(table: StrictTable, positions: Mapping[str, int], findings: Findings) -> None:
    present = [name for name in table.names if name in positions]
    in_order = set(_find_longest_rising([positions[name] for name in present]))
    for before, name in zip([None, *present], present, strict=False):
        if positions[name] not in in_order:
            where = f"after {before}" if before else "first"
            message = f"column {name} must be {where}"
            findings.add_finding("strict-header-order", message, table.file, 1, positions[name] + 1)


def _find_longest_rising(places: Sequence[int]) -> Sequence[int]:
    """Return the longest rising subsequence of a few positions: the fewest other columns must move."""
    best: list[list[int]] = []
    for place in places:
        best.append([*max((run for run in best if run[-1] < place), key=len, default=[]), place])
    return max(best, key=len, default=[])


def _is_extension(name: str) -> bool:
    return name.startswith(EXTENSION) and len(name) > len(EXTENSION)
