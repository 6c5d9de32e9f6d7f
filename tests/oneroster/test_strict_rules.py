"""Every strict rule has a case, and a bundle that follows the standard has no deviation."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.oneroster.strict.rules import RULES
from tests.oneroster import test_strict_files, test_strict_references, test_strict_values
from tests.support.rosters.strict_bundles import as_delta, complete, hold
from tests.support.rosters.strict_cases import BOTH

CASES = [*test_strict_files.CASES, *test_strict_values.CASES, *test_strict_references.CASES]

#: Rules that no bend of a single bundle can show; tests of the archive do.
OF_THE_ARCHIVE = {"strict-duplicate-file", "strict-folder-in-archive"}


@pytest.mark.parametrize("version", BOTH)
def test_bundle_with_every_standard_file_has_no_deviation(version: str, tmp_path: Path) -> None:
    letter = hold(complete(version), tmp_path)
    assert (letter.version, letter.diagnostics, letter.counts, letter.has_errors) == (version, (), {}, False)


@pytest.mark.parametrize("version", BOTH)
def test_a_bundle_of_changes_alone_has_no_deviation(version: str, tmp_path: Path) -> None:
    made = complete(version)
    letter = hold(as_delta(made, *made.tables), tmp_path)
    assert letter.diagnostics == ()


def test_every_rule_has_a_case() -> None:
    assert all(case.found for case in CASES)
    assert {code for case in CASES for code, *_ in case.found} | OF_THE_ARCHIVE == set(RULES)
