"""How much a plan may take away before a person has to agree: counts and percents, per customer and per school.

Allowed is the larger of a floor and a percent of what is live, rounded down; for people never everyone of a scope
that has two or more. Live means: managed by the roster, no administrator, no tombstone; a person of two schools
counts in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import LimitUse
from reconciler.model.role import ADMINISTERING
from reconciler.model.roster import Manager

SCHOOL = "school"


@dataclass(frozen=True, slots=True)
class Threshold:
    """percent of what is live, but at least `floor`; per_school_percent for people only."""

    percent: int
    floor: int
    per_school_percent: int | None = None

    def allowed(self, of: int, percent: int | None = None) -> int:
        return max(self.floor, of * (self.percent if percent is None else percent) // 100)


@dataclass(frozen=True, slots=True)
class Thresholds:
    users: Threshold = Threshold(10, 5, 25)
    classes: Threshold = Threshold(25, 5)
    enrollments: Threshold = Threshold(25, 20)


def countable_people(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Live accounts that a roster may take away at all: `id`, `sourced_id`. Administrators never are."""
    administering = [role.value for role in sorted(ADMINISTERING)]
    administrators = roles.filter(pl.col("role").is_in(administering)).select(pl.col("account_id").alias("id"))
    return (
        users.filter(
            ~pl.col("tombstoned")
            & (pl.col("managed_by") == Manager.ROSTER.value)
            & ~pl.col("role").is_in(administering).fill_null(False)
        )
        .join(administrators, on="id", how="anti")
        .select("id", "sourced_id")
    )


def people_limits(
    leaving: pl.DataFrame, people: pl.DataFrame, roles: pl.DataFrame, orgs: pl.DataFrame, threshold: Threshold
) -> tuple[LimitUse, ...]:
    """leaving: `live_id` of people to be deleted, or suspended because they are absent. people: `countable_people`.

    The customer's limit first, then one for each school that loses somebody, by sourcedId.
    """
    gone = leaving.select(pl.col("live_id").alias("id")).unique()
    of = people.height
    seen = gone.height
    whole = LimitUse(
        Kind.USER, Action.DELETE, "customer", seen, _never_everyone(threshold.allowed(of), of), of, "people"
    )
    # Deleted schools count as well: while somebody belongs to one, it can be lost.
    schools = orgs.filter(pl.col("type") == SCHOOL).select(pl.col("sourced_id").alias("org"), pl.col("name"))
    at_school = (
        roles.select(pl.col("account_id").alias("id"), "org")
        .unique()
        .join(people, on="id", how="semi")
        .join(schools, on="org", how="inner")
    )
    table = (
        at_school.group_by("org", "name")
        .agg(pl.len().alias("of"), pl.col("id").is_in(gone["id"].implode()).sum().alias("seen"))
        .filter(pl.col("seen") > 0)
        .sort("org")
    )
    percent = threshold.per_school_percent
    each = tuple(
        LimitUse(
            Kind.USER,
            Action.DELETE,
            f"org:{org}",
            lost,
            _never_everyone(threshold.allowed(live, percent), live),
            live,
            name or org,
        )
        for org, name, live, lost in table.iter_rows()
    )
    return (whole, *each)


def _never_everyone(allowed: int, of: int) -> int:
    return min(allowed, of - 1) if of >= 2 else allowed


def row_limit(kind: Kind, leaving: int, of: int, threshold: Threshold) -> LimitUse:
    """The customer's limit of classes or enrollments."""
    return LimitUse(kind, Action.DELETE, "customer", leaving, threshold.allowed(of), of, kind.plural)
