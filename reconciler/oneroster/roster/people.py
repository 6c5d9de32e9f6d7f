"""Which roles people have in which orgs: in 1.1 two columns of users.csv, in 1.2 a file of its own."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.quarantine import (
    RowFault,
    build_quarantine,
    create_empty_quarantine,
    format_value,
    make_rows_warning,
)
from reconciler.oneroster.csv_file.rows import FileRows

USER_FIELDS = (
    "sourced_id",
    "status",
    "enabled",
    "username",
    "given_name",
    "family_name",
    "middle_name",
    "identifier",
    "email",
    "grades",
    "line",
)
ROLE_FIELDS = ("user", "org", "role", "primary", "line")
#: Roles that wait for their person or their org.
WAITING_FIELDS = (*ROLE_FIELDS, "status")
LIST_ITEM = r'"(?:[^"]|"")*"|[^,]+'


@dataclass(frozen=True, slots=True)
class RosterPeople:
    """users and roles as a Snapshot has them. aside: people whose roles cannot be told. waiting_users, waiting_roles:
    good rows of theirs, and roles whose person or org is not there."""

    users: pl.DataFrame
    roles: pl.DataFrame
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    waiting_users: pl.DataFrame
    waiting_roles: pl.DataFrame


def build_people_1_1(users: FileRows, orgs: pl.Series, column: int) -> RosterPeople:
    """One role in each of `orgSourcedIds`; the first org that exists is the primary one. column: their position."""
    return place_people(users.frame, extract_role_entries(users.frame), orgs, column)


def extract_role_entries(users: pl.DataFrame) -> pl.DataFrame:
    """`user`, `org`, `role`, `line`: one for each item of `orgs`, in their order."""
    return (
        users.select(pl.col("sourced_id").alias("user"), _split_list_items("orgs", users), "role", "line")
        .explode("org")
        .with_columns(pl.col("org").str.strip_chars())
        .filter(pl.col("org") != "")
        .unique(["user", "org"], keep="first", maintain_order=True)
    )


def place_people(users: pl.DataFrame, entries: pl.DataFrame, orgs: pl.Series, column: int) -> RosterPeople:
    """entries: the roles of each person, the primary one first. People of none of `orgs` are set aside."""
    placed = _split_by_known_orgs(entries, orgs, "users.csv")
    homeless = users.join(placed.roles, left_on="sourced_id", right_on="user", how="anti", maintain_order="left")
    aside = create_empty_quarantine()
    good = users
    if homeless.height:
        aside = _build_orgless_quarantine(homeless, "orgs", "users.csv", "sourced_id", column)
        good = good.join(homeless, on="sourced_id", how="anti", maintain_order="left")
    roles = placed.roles.with_columns(pl.col("user").is_first_distinct().alias("primary"))
    return RosterPeople(
        good.select(USER_FIELDS),
        roles.select(ROLE_FIELDS),
        aside,
        placed.diagnostics,
        homeless.select(USER_FIELDS),
        placed.orphans.with_columns(pl.lit(False).alias("primary"), pl.lit("active").alias("status")).select(
            WAITING_FIELDS
        ),
    )


def build_people_1_2(users: FileRows, rows: FileRows, orgs: pl.Series, columns: dict[str, int]) -> RosterPeople:
    """One role per row of roles.csv. Primary is the primary role in `primaryOrgSourcedId`, else the first primary
    one, else the first. A person of whom one row of roles.csv is bad is set aside whole.

    columns: positions of `user` and `org` in roles.csv.
    """
    roles, extension = _drop_extension_roles(_select_relevant_roles(users.frame, rows.frame))
    known = roles["user"].is_in(pl.concat([users.frame["sourced_id"], users.quarantine["key"].drop_nulls()]).implode())
    placed = _split_by_known_orgs(roles.filter(known), orgs, "roles.csv")
    homeless = placed.orphans.join(placed.roles, on="user", how="anti", maintain_order="left")
    bad = pl.concat([rows.quarantine["key"].drop_nulls(), homeless["user"]])
    good = users.frame.filter(~pl.col("sourced_id").is_in(bad.implode()))
    roleless = good.join(placed.roles, left_on="sourced_id", right_on="user", how="anti", maintain_order="left")
    good = good.join(roleless, on="sourced_id", how="anti", maintain_order="left")
    final, several = _mark_primary_roles(
        placed.roles.join(good.select("sourced_id", "primary_org"), left_on="user", right_on="sourced_id")
    )
    waiting = users.frame.join(good, on="sourced_id", how="anti", maintain_order="left").select(USER_FIELDS)
    return RosterPeople(
        good.select(USER_FIELDS),
        final,
        pl.concat(
            [
                _build_stranger_quarantine(roles.filter(~known), columns["user"]),
                _build_orgless_quarantine(homeless, "org", "roles.csv", "user", columns["org"]),
                _build_roleless_quarantine(roleless),
            ]
        ),
        (*extension, *placed.diagnostics, *several),
        waiting,
        _select_waiting_roles(rows.frame, final, waiting["sourced_id"]),
    )


def _drop_extension_roles(roles: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Return the roles of the standard, and a warning where there are others."""
    unknown = pl.col("role").str.starts_with("ext:")
    dropped = roles.filter(unknown)
    if not dropped.height:
        return roles, []
    message = "a role of the export's own is not known here"
    return roles.filter(~unknown), [make_rows_warning("roles.csv", dropped, "extension-role", message)]


def _mark_primary_roles(roles: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Return ROLE_FIELDS with one primary role for each person. roles: also `primary_org` and `role_type`."""
    is_primary = pl.col("role_type") == "primary"
    twice = roles.filter(is_primary & (pl.len().over("user", "org", "role_type") > 1))
    message = "a person has several primary roles in one org"
    notes = [make_rows_warning("roles.csv", twice, "several-primary-roles", message)] if twice.height else []
    ordered = roles.sort(
        ~(is_primary & (pl.col("org") == pl.col("primary_org")).fill_null(False)), ~is_primary, "line"
    ).with_columns(pl.col("user").is_first_distinct().alias("primary"))
    return ordered.sort("line").select(ROLE_FIELDS), notes


def _select_relevant_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Active ones. Who leaves with all roles still belongs where they were, so that the deletion has a place."""
    active = roles.filter(pl.col("status") == "active")
    marked = users.filter(pl.col("status") == "tobedeleted").select("sourced_id")
    if not marked.height or active.height == roles.height:
        return active
    last = (
        roles.filter(pl.col("status") == "tobedeleted")
        .join(marked, left_on="user", right_on="sourced_id", how="semi")
        .join(active, on="user", how="anti")
    )
    return pl.concat([active, last])


def _select_waiting_roles(roles: pl.DataFrame, final: pl.DataFrame, waiting: pl.Series) -> pl.DataFrame:
    """Rows of roles.csv that give nobody a role yet; deleted ones only of people who wait."""
    if final.height == roles.height:
        return final.clear().with_columns(pl.lit(None, dtype=pl.String).alias("status"))
    theirs = pl.col("user").is_in(waiting.implode())
    return (
        roles.filter(((pl.col("status") == "active") | theirs) & ~pl.col("role").str.starts_with("ext:"))
        .join(final, on=["user", "org", "role"], how="anti", maintain_order="left")
        .with_columns((pl.col("role_type") == "primary").alias("primary"))
        .select(WAITING_FIELDS)
    )


@dataclass(frozen=True, slots=True)
class RolePlacement:
    roles: pl.DataFrame
    orphans: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def _split_by_known_orgs(entries: pl.DataFrame, orgs: pl.Series, file: str) -> RolePlacement:
    there = entries["org"].is_in(orgs.implode())
    if there.all():
        return RolePlacement(entries, entries.clear(), ())
    kept, dropped = entries.filter(there), entries.filter(~there)
    partly = dropped.join(kept, on="user", how="semi")
    notes = (
        (
            make_rows_warning(
                file,
                partly,
                "dangling-reference",
                "a person has a role in an org that is not in orgs.csv; it is not kept",
            ),
        )
        if partly.height
        else ()
    )
    return RolePlacement(kept, dropped, notes)


def _build_stranger_quarantine(roles: pl.DataFrame, column: int) -> pl.DataFrame:
    fault = RowFault(
        "dangling-reference",
        pl.format("user {} is not in users.csv", format_value("user")),
        "add the person to users.csv, or remove this row",
        column,
    )
    return build_quarantine(roles, fault, kind=Kind.USER, file="roles.csv", key="user")


def _build_roleless_quarantine(users: pl.DataFrame) -> pl.DataFrame:
    fault = RowFault(
        "missing-role",
        "the person has no role in roles.csv",
        "add a row to roles.csv, or remove the person",
    )
    return build_quarantine(users, fault, kind=Kind.USER, file="users.csv", key="sourced_id")


def _build_orgless_quarantine(rows: pl.DataFrame, field: str, file: str, key: str, column: int) -> pl.DataFrame:
    fault = RowFault(
        "dangling-reference",
        pl.format("org {} is not in orgs.csv", format_value(field)),
        "add the org to orgs.csv, or name one that is there",
        column,
    )
    return build_quarantine(rows, fault, kind=Kind.USER, file=file, key=key)


def _split_list_items(field: str, frame: pl.DataFrame) -> pl.Expr:
    """A list cell's items; one that holds a comma stands in quotation marks inside the cell."""
    if not frame[field].str.contains('"', literal=True).any():
        return pl.col(field).str.split(",").alias("org")
    item = pl.element().str.strip_chars()
    quoted = item.str.starts_with('"') & item.str.ends_with('"')
    bare = item.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    return pl.col(field).str.extract_all(LIST_ITEM).list.eval(pl.when(quoted).then(bare).otherwise(item)).alias("org")
