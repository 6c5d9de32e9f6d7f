"""Whether a community has a seat for everybody who would belong to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.roster.desired import DesiredRoster, find_belonging_orgs


@dataclass(frozen=True, slots=True)
class SeatLicense:
    """schools: sourcedIds, orgs below them included; None for all of the customer. roles: Role values; None for all.
    span: where the number of seats is written."""

    community: str
    seats: int
    schools: tuple[str, ...] | None
    roles: tuple[str, ...] | None
    span: Span | None


def warn_exceeded_seats(desired: DesiredRoster, licenses: Iterable[SeatLicense]) -> tuple[Diagnostic, ...]:
    """A warning for each community that would have more members than seats. A launch without a seat is refused."""
    found = []
    for licence in licenses:
        members = _count_members(desired, licence)
        if members > licence.seats:
            found.append(
                build_warning(
                    "seats-exceeded",
                    f"{licence.community} would have {members:,} members for {licence.seats:,} seats",
                    licence.span,
                    "whoever has no seat is refused: raise site_license.seats, or narrow members",
                )
            )
    return tuple(found)


def _count_members(desired: DesiredRoster, seat_license: SeatLicense) -> int:
    people = desired.frames[Kind.USER]
    if seat_license.roles is not None:
        people = people.filter(pl.col("role").is_in(seat_license.roles))
    if seat_license.schools is not None:
        orgs = [find_belonging_orgs(desired.frames[Kind.ORG], school) for school in seat_license.schools]
        inside = pl.concat(orgs).unique() if orgs else pl.Series([], dtype=pl.String)
        entries = people.select("sourced_id", pl.col("roles").str.split(ROLE_SEPARATOR).alias("entry")).explode("entry")
        theirs = entries.filter(pl.col("entry").str.extract(r"^(.*)=", 1).is_in(inside.implode()))
        return theirs["sourced_id"].n_unique()
    return people.height
