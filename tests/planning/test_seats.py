from __future__ import annotations

import pytest

from reconciler.planning.roster.desired import build_desired_roster
from reconciler.planning.roster.seats import SeatLicense, warn_exceeded_seats
from tests.support.rosters.snapshots import DISTRICT, district, person

PEOPLE = [
    *[person(each, "s-1") for each in range(6)],
    *[person(each, "s-2", role="teacher") for each in range(10, 14)],
]


@pytest.mark.parametrize(
    ("schools", "roles", "members"),
    [
        (None, None, 10),
        (("s-1",), None, 6),
        ((DISTRICT,), None, 10),
        (None, ("teacher",), 4),
        (("s-1",), ("teacher",), 0),
        ((), None, 0),
    ],
)
def test_members_are_counted_by_schools_and_roles(
    schools: tuple[str, ...] | None, roles: tuple[str, ...] | None, members: int
) -> None:
    desired = build_desired_roster(district(PEOPLE), DISTRICT, None)

    enough = warn_exceeded_seats(desired, [SeatLicense("high", max(members, 1), schools, roles, None)])
    assert enough == ()
    if members:
        (warning,) = warn_exceeded_seats(desired, [SeatLicense("high", members - 1, schools, roles, None)])
        assert warning.code == "seats-exceeded"
        assert f"{members} members but has {members - 1} seats" in warning.message
