"""Warns of communities that would have more members than seats."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.roster.desired import DesiredRoster, find_belonging_orgs


@dataclass(frozen=True, slots=True)
class SeatLicense:
    """The seats of a community and the people who need one."""

    community: str
    seats: int
    #: sourcedIds, orgs below them included; None for all of the customer's
    schools: tuple[str, ...] | None
    #: Role values; None for all
    roles: tuple[str, ...] | None
    #: the place of the number of seats
    span: Span | None


def warn_exceeded_seats(desired: DesiredRoster, licenses: Iterable[SeatLicense]) -> tuple[Diagnostic, ...]:
    """Return a warning for each community that would have more members than seats."""
    counted = [(each, _count_members(desired, each)) for each in licenses]
    return tuple(
        build_warning(
            "seats-exceeded",
            f"{each.community} would have {members:,} members but has {each.seats:,} seats",
            each.span,
            "Raise site_license.seats, or narrow members. People without a seat cannot launch.",
        )
        for each, members in counted
        if members > each.seats
    )


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
