"""Syncs of an unchanged roster whose roles begin and end as days pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.customers.project import LIVE, Project
from tests.support.operations.synced_customers import DAY, MONDAY, NIGHT, STUDENTS, only, synced
from tests.support.sources.in_memory import GivenSource

pytestmark = pytest.mark.slow
ENDING, COMING = STUDENTS[0], "u-9001"


def test_167_a_sync_of_the_same_bytes_ends_roles_on_their_day(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    made = DAY.version12().with_row("roles", f"r-{ENDING}-1", endDate="2026-11-25")
    made = made.with_user(COMING).with_row("roles", f"r-{COMING}", beginDate="2026-11-27")
    customer().given = made
    assert only(synced(project, "springfield", at=MONDAY))["outcome"] == "applied"
    assert only(synced(project, "springfield", at=MONDAY + NIGHT))["outcome"] == "unchanged"
    assert only(synced(project, "springfield", at=MONDAY + NIGHT + timedelta(hours=1)))["early"]

    ended = only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))
    assert (ended["early"], ended["people"]["removed"], ended["people"]["added"]) == (False, 1, 0)
    begun = only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))
    assert (begun["early"], begun["people"]["removed"], begun["people"]["added"]) == (False, 0, 1)
    people = {key for kind, key in project.ask(LIVE) if kind == "user"}
    assert COMING in people
    assert ENDING not in people
