"""What the store holds of one customer's roster, as planning needs it: frames that somebody else has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import ROLE_SEPARATOR, AccountManager
from reconciler.planning.frames.change_frame import build_field_schema

#: columns that every live frame has beside the kind's fields
LIVE_COLUMNS: dict[str, type[pl.DataType]] = {
    "id": pl.Int64,
    "sourced_id": pl.String,
    "fingerprint": pl.Int64,
    "tombstoned": pl.Boolean,
}


def build_live_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Columns and types of a live frame; users have `managed_by` as well."""
    extra = {"managed_by": pl.String} if kind is Kind.USER else {}
    return {**LIVE_COLUMNS, **build_field_schema(kind), **extra}


def make_empty_live_frame(kind: Kind) -> pl.DataFrame:
    return pl.DataFrame(schema=build_live_schema(kind))


@dataclass(frozen=True, slots=True)
class LiveRoster:
    """orgs, users, classes: whole, tombstones included, columns of `live_schema`.

    roles: account_id, org, role: what people are where, for limits and for the `roles` field of users.
    enrollments: only those rows that the comparison could not settle by fingerprint, and tombstones that
    come back. enrollments_total: how many are live.
    """

    orgs: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.ORG))
    users: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.USER))
    classes: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.CLASS))
    enrollments: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.ENROLLMENT))
    roles: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"account_id": pl.Int64, "org": pl.String, "role": pl.String})
    )
    enrollments_total: int = 0

    def get_frame(self, kind: Kind) -> pl.DataFrame:
        frames: Mapping[Kind, pl.DataFrame] = {
            Kind.ORG: self.orgs,
            Kind.USER: self.users,
            Kind.CLASS: self.classes,
            Kind.ENROLLMENT: self.enrollments,
        }
        return frames[kind]


def add_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Live users with the `roles` field, written as a snapshot's are. roles: as in `Live`."""
    entries = roles.select("account_id", (pl.col("org") + "=" + pl.col("role")).alias("roles"))
    if entries["account_id"].n_unique() < entries.height:
        entries = (
            entries.sort("account_id", "roles")
            .group_by("account_id", maintain_order=True)
            .agg(pl.col("roles").unique(maintain_order=True).str.join(ROLE_SEPARATOR))
        )
    bare = users.drop("roles") if "roles" in users.columns else users
    return bare.join(entries, left_on="id", right_on="account_id", how="left", maintain_order="left")


def select_countable_people(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Live accounts that a roster may take away at all: `id`, `sourced_id`. Administrators never are."""
    administering = [role.value for role in sorted(ADMINISTRATOR_ROLES)]
    administrators = roles.filter(pl.col("role").is_in(administering)).select(pl.col("account_id").alias("id"))
    return (
        users.filter(
            ~pl.col("tombstoned")
            & (pl.col("managed_by") == AccountManager.ROSTER.value)
            & ~pl.col("role").is_in(administering).fill_null(False)
        )
        .join(administrators, on="id", how="anti")
        .select("id", "sourced_id")
    )


@dataclass(frozen=True, slots=True)
class OpenEnrollments:
    """Enrollments that a comparison of fingerprints alone leaves open.

    desired: rows of the file whose fingerprint no live row has. live_ids: ids of live rows whose fingerprint
    no row of the file has. settled: how many are the same on both sides.
    """

    desired: pl.DataFrame
    live_ids: pl.Series
    unchanged_count: int


def find_open_enrollments(desired: pl.DataFrame, index: pl.DataFrame) -> OpenEnrollments:
    """index: `id`, `fingerprint` of the live enrollments."""
    # Sorting two columns of integers is several times cheaper than two joins, and nearly always enough.
    if desired.height == index.height and desired["fingerprint"].sort().equals(index["fingerprint"].sort()):
        return OpenEnrollments(desired.clear(), index["id"].clear(), desired.height)
    open_desired = desired.join(index, on="fingerprint", how="anti", maintain_order="left")
    open_live = index.join(desired.select("fingerprint"), on="fingerprint", how="anti")
    return OpenEnrollments(open_desired, open_live["id"].sort(), desired.height - open_desired.height)
