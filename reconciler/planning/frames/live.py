"""The rows of one customer's roster in the store, as frames that planning compares."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES, Role
from reconciler.model.roster import ROLE_SEPARATOR, AccountManager
from reconciler.planning.frames.change_frame import build_field_schema

#: Columns that every live frame has beside the kind's fields.
LIVE_COLUMNS: dict[str, type[pl.DataType]] = {
    "id": pl.Int64,
    "sourced_id": pl.String,
    "fingerprint": pl.Int64,
    "tombstoned": pl.Boolean,
}


def build_live_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Return the columns and types of a live frame; users have `managed_by` as well."""
    extra = {"managed_by": pl.String} if kind is Kind.USER else {}
    return {**LIVE_COLUMNS, **build_field_schema(kind), **extra}


def make_empty_live_frame(kind: Kind) -> pl.DataFrame:
    """Return a live frame without rows."""
    return pl.DataFrame(schema=build_live_schema(kind))


@dataclass(frozen=True, slots=True)
class LiveRoster:
    """One customer's roster in the store, tombstones included; columns of `build_live_schema`."""

    orgs: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.ORG))
    users: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.USER))
    classes: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.CLASS))
    #: only rows that a comparison of fingerprints leaves open, and tombstones that return
    enrollments: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.ENROLLMENT))
    #: the roles of people in orgs, for limits and for the `roles` field of users
    roles: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"account_id": pl.Int64, "org": pl.String, "role": pl.String})
    )
    #: the number of all active enrollments
    enrollments_total: int = 0

    def get_frame(self, kind: Kind) -> pl.DataFrame:
        """Return the rows of one kind."""
        frames: Mapping[Kind, pl.DataFrame] = {
            Kind.ORG: self.orgs,
            Kind.USER: self.users,
            Kind.CLASS: self.classes,
            Kind.ENROLLMENT: self.enrollments,
        }
        return frames[kind]


def add_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Return live users with the `roles` field, written as in a snapshot, from `LiveRoster.roles`."""
    entries = roles.select("account_id", (pl.col("org") + "=" + pl.col("role")).alias("roles"))
    if entries["account_id"].n_unique() < entries.height:
        entries = (
            entries.sort("account_id", "roles")
            .group_by("account_id", maintain_order=True)
            .agg(pl.col("roles").unique(maintain_order=True).str.join(ROLE_SEPARATOR))
        )
    bare = users.drop("roles") if "roles" in users.columns else users
    return bare.join(entries, left_on="id", right_on="account_id", how="left", maintain_order="left")


def has_any_role(wanted: Collection[Role], role: str = "role", roles: str = "roles") -> pl.Expr:
    """Select people who have one of these roles, by their primary role or by any entry of `roles`; never null."""
    names = [each.value for each in sorted(wanted)]
    in_any_org = pl.col(roles).str.contains(f"=({'|'.join(names)})(\n|$)").fill_null(False)
    return pl.col(role).is_in(names).fill_null(False) | in_any_org


def select_countable_people(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Return `id`, `sourced_id` of the active accounts that a roster may remove: never an administrator's."""
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
    """Enrollments that a comparison of fingerprints alone leaves open."""

    #: rows of the file whose fingerprint no live row has
    desired: pl.DataFrame
    #: ids of live rows whose fingerprint no row of the file has
    live_ids: pl.Series
    #: the number of rows that are the same on both sides
    unchanged_count: int


def find_open_enrollments(desired: pl.DataFrame, index: pl.DataFrame) -> OpenEnrollments:
    """Compare the rows of a file with `id`, `fingerprint` of the live enrollments."""
    # Sorting two columns of integers is several times cheaper than two joins, and nearly always enough.
    if desired.height == index.height and desired["fingerprint"].sort().equals(index["fingerprint"].sort()):
        return OpenEnrollments(desired.clear(), index["id"].clear(), desired.height)
    open_desired = desired.join(index, on="fingerprint", how="anti", maintain_order="left")
    open_live = index.join(desired.select("fingerprint"), on="fingerprint", how="anti")
    return OpenEnrollments(open_desired, open_live["id"].sort(), desired.height - open_desired.height)
