"""Test which run determines a row after later runs and undos."""

from __future__ import annotations

import pytest

from reconciler.store.read.before_images import determine_effect

STANDING = (False, None)
TAKEN_BACK = (True, None)


@pytest.mark.parametrize(
    ("later", "undoes", "expected"),
    [
        ([], {}, STANDING),
        ([2], {}, (False, 2)),
        ([2, 3], {}, (False, 2)),
        ([2], {2: 1}, TAKEN_BACK),
        ([2, 3], {2: 1, 3: 2}, STANDING),
        ([2, 3, 4], {2: 1, 3: 2, 4: 3}, TAKEN_BACK),
        ([2, 3], {3: 2}, STANDING),
        ([2, 3, 4], {3: 2, 4: 1}, TAKEN_BACK),
        ([2, 3, 4], {3: 2}, (False, 4)),
        ([2, 3, 4, 5], {4: 3, 5: 2}, STANDING),
        ([2, 3], {2: 1}, TAKEN_BACK),
        # what a run took back that came before is a change like any other
        ([2], {2: 0}, (False, 2)),
    ],
)
def test_undone_run_blocks_nobody(later: list[int], undoes: dict[int, int], expected: tuple[bool, int | None]) -> None:
    assert determine_effect(1, later, undoes) == expected
