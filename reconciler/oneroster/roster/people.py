"""Builds users and their roles in orgs: from two columns of users.csv in 1.1, from roles.csv in 1.2."""

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.quarantine import (
    KNOWN_BY,
    RowFault,
    build_quarantine,
    create_empty_quarantine,
    format_value,
    make_rows_warning,
)
from reconciler.oneroster.csv_file.rows import FileRows
from reconciler.oneroster.snapshot import is_marked_deleted
from reconciler.oneroster.spelling import find_spellings, replace_spellings

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
ROLE_FIELDS = ("user", "org", "role", "primary", "begin_date", "end_date", "line")
#: Fields of roles before the primary one is known.
ENTRY_FIELDS = ("user", "org", "role", "begin_date", "end_date", "line")
#: Fields of roles that wait for their person or org.
WAITING_FIELDS = (*ROLE_FIELDS, "status")
LIST_ITEM = r'"(?:[^"]|"")*"|[^,]+'


@dataclass(frozen=True, slots=True)
class RosterPeople:
    """Users and roles in the form of a Snapshot."""

    users: pl.DataFrame
    roles: pl.DataFrame
    #: People with unknown roles.
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    #: Good rows of quarantined people.
    waiting_users: pl.DataFrame
    #: Roles whose person or org does not exist.
    waiting_roles: pl.DataFrame


def build_people_1_1(users: FileRows, orgs: pl.Series, column: int) -> RosterPeople:
    """Give each user a role in each of `orgSourcedIds`, at position `column`; the first existing org is primary."""
    return place_people(users.frame, extract_role_entries(users.frame), orgs, column)


def extract_role_entries(users: pl.DataFrame) -> pl.DataFrame:
    """Return one row of ENTRY_FIELDS for each item of `orgs`, in order; in 1.1 roles have no dates."""
    return (
        users.select(pl.col("sourced_id").alias("user"), _split_list_items("orgs", users), "role", "line")
        .explode("org")
        .with_columns(pl.col("org").str.strip_chars())
        .filter(pl.col("org") != "")
        .unique(["user", "org"], keep="first", maintain_order=True)
        .with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in ("begin_date", "end_date"))
        .select(ENTRY_FIELDS)
    )


def place_people(users: pl.DataFrame, entries: pl.DataFrame, orgs: pl.Series, column: int) -> RosterPeople:
    """Assign roles from entries, sorted with the primary role first; people in none of `orgs` are quarantined."""
    entries = replace_spellings(entries, "org", find_spellings(entries["org"], orgs))
    placed = _split_by_known_orgs(entries, orgs, "users.csv")
    orgless = users.join(placed.roles, left_on="sourced_id", right_on="user", how="anti", maintain_order="left")
    quarantine = create_empty_quarantine()
    good = users
    if orgless.height:
        quarantine = _build_orgless_quarantine(orgless, "orgs", "users.csv", "sourced_id", column)
        good = good.join(orgless, on="sourced_id", how="anti", maintain_order="left")
    roles = placed.roles.with_columns(pl.col("user").is_first_distinct().alias("primary"))
    return RosterPeople(
        good.select(USER_FIELDS),
        roles.select(ROLE_FIELDS),
        quarantine,
        placed.diagnostics,
        orgless.select(USER_FIELDS),
        placed.orphans.with_columns(pl.lit(False).alias("primary"), pl.lit("active").alias("status")).select(
            WAITING_FIELDS
        ),
    )


def build_people_1_2(users: FileRows, rows: FileRows, orgs: pl.Series, columns: dict[str, int]) -> RosterPeople:
    """Give each user one role for each row of roles.csv, where `columns` has the positions of `user` and `org`.

    The primary role is the one of type primary in `primaryOrgSourcedId`, else the first of type primary, else the
    first. A person with a bad row in roles.csv is quarantined with all rows.
    """
    roles, warnings = _drop_extension_roles(_select_relevant_roles(users.frame, rows.frame))
    known = roles["user"].is_in(pl.concat([users.frame["sourced_id"], users.quarantine["key"].drop_nulls()]).implode())
    placed = _split_by_known_orgs(roles.filter(known), orgs, "roles.csv")
    orgless = placed.orphans.join(placed.roles, on="user", how="anti", maintain_order="left")
    bad = pl.concat([rows.quarantine["key"].drop_nulls(), orgless["user"]])
    good = users.frame.filter(~pl.col("sourced_id").is_in(bad.implode()))
    roleless = good.join(placed.roles, left_on="sourced_id", right_on="user", how="anti", maintain_order="left")
    good = good.join(roleless, on="sourced_id", how="anti", maintain_order="left")
    final, role_warnings = _mark_primary_roles(
        placed.roles.join(good.select("sourced_id", "primary_org"), left_on="user", right_on="sourced_id")
    )
    waiting = users.frame.join(good, on="sourced_id", how="anti", maintain_order="left").select(USER_FIELDS)
    return RosterPeople(
        good.select(USER_FIELDS),
        final,
        pl.concat(
            [
                _build_stranger_quarantine(roles.filter(~known), columns["user"]),
                fill_person_values(
                    _build_orgless_quarantine(orgless, "org", "roles.csv", "user", columns["org"]), users.frame
                ),
                _build_roleless_quarantine(roleless),
            ]
        ),
        (*warnings, *placed.diagnostics, *role_warnings),
        waiting,
        _select_waiting_roles(rows.frame, final, waiting["sourced_id"]),
    )


def fill_person_values(quarantine: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """Return quarantined rows of roles.csv with the values of users.csv by which their person may be known."""
    if not quarantine.height:
        return quarantine
    values = users.select("sourced_id", *KNOWN_BY).unique("sourced_id", keep="first", maintain_order=True)
    return (
        quarantine.drop(KNOWN_BY)
        .join(values, left_on="key", right_on="sourced_id", how="left", maintain_order="left")
        .select(quarantine.columns)
    )


def _drop_extension_roles(roles: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Return the roles of the standard, and a warning if there are others."""
    unknown = pl.col("role").str.starts_with("ext:")
    dropped = roles.filter(unknown)
    if not dropped.height:
        return roles, []
    message = "the export's custom role is not supported"
    return roles.filter(~unknown), [make_rows_warning("roles.csv", dropped, "extension-role", message)]


def _mark_primary_roles(roles: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Return ROLE_FIELDS with one primary role for each person; `roles` also has `primary_org` and `role_type`."""
    is_primary = pl.col("role_type") == "primary"
    # Rows with other dates are roles one after another.
    same = ("user", "org", "role_type", "begin_date", "end_date")
    duplicates = roles.filter(is_primary & (pl.len().over(same) > 1))
    message = "a person has several primary roles in one org"
    warnings = (
        [make_rows_warning("roles.csv", duplicates, "several-primary-roles", message)] if duplicates.height else []
    )
    ordered = roles.sort(
        ~(is_primary & (pl.col("org") == pl.col("primary_org")).fill_null(False)), ~is_primary, "line"
    ).with_columns(pl.col("user").is_first_distinct().alias("primary"))
    return ordered.sort("line").select(ROLE_FIELDS), warnings


def _select_relevant_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Return active roles, and the last roles of people deleted with all roles: their deletion needs an org."""
    active = roles.filter(pl.col("status") == "active")
    marked = users.filter(is_marked_deleted()).select("sourced_id")
    if not marked.height or active.height == roles.height:
        return active
    last = (
        roles.filter(is_marked_deleted())
        .join(marked, left_on="user", right_on="sourced_id", how="semi")
        .join(active, on="user", how="anti")
    )
    return pl.concat([active, last])


def _select_waiting_roles(roles: pl.DataFrame, final: pl.DataFrame, waiting: pl.Series) -> pl.DataFrame:
    """Return rows of roles.csv that are not in `final`; deleted rows only of waiting people."""
    if final.height == roles.height:
        return final.clear().with_columns(pl.lit(None, dtype=pl.String).alias("status"))
    is_waiting = pl.col("user").is_in(waiting.implode())
    return (
        roles.filter(((pl.col("status") == "active") | is_waiting) & ~pl.col("role").str.starts_with("ext:"))
        .join(final, on=["user", "org", "role"], how="anti", maintain_order="left")
        .with_columns((pl.col("role_type") == "primary").alias("primary"))
        .select(WAITING_FIELDS)
    )


@dataclass(frozen=True, slots=True)
class RolePlacement:
    """Roles split by whether their org exists."""

    roles: pl.DataFrame
    #: Roles in orgs that do not exist.
    orphans: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def _split_by_known_orgs(entries: pl.DataFrame, orgs: pl.Series, file: str) -> RolePlacement:
    exists = entries["org"].is_in(orgs.implode())
    if exists.all():
        return RolePlacement(entries, entries.clear(), ())
    kept, dropped = entries.filter(exists), entries.filter(~exists)
    partly = dropped.join(kept, on="user", how="semi")
    if not partly.height:
        return RolePlacement(kept, dropped, ())
    message = "a person has a role in an org that is not in orgs.csv; the role is dropped"
    return RolePlacement(kept, dropped, (make_rows_warning(file, partly, "dangling-reference", message),))


def _build_stranger_quarantine(roles: pl.DataFrame, column: int) -> pl.DataFrame:
    fault = RowFault(
        "dangling-reference",
        pl.format("user {} is not in users.csv", format_value("user")),
        "Add the person to users.csv, or remove this row.",
        column,
    )
    return build_quarantine(roles, fault, kind=Kind.USER, file="roles.csv", key="user")


def _build_roleless_quarantine(users: pl.DataFrame) -> pl.DataFrame:
    fault = RowFault(
        "missing-role",
        "the person has no role in roles.csv",
        "Add a row to roles.csv, or remove the person.",
    )
    return build_quarantine(users, fault, kind=Kind.USER, file="users.csv", key="sourced_id")


def _build_orgless_quarantine(rows: pl.DataFrame, field: str, file: str, key: str, column: int) -> pl.DataFrame:
    fault = RowFault(
        "dangling-reference",
        pl.format("org {} is not in orgs.csv", format_value(field)),
        "Add the org to orgs.csv, or use an org that is in it.",
        column,
    )
    return build_quarantine(rows, fault, kind=Kind.USER, file=file, key=key)


def _split_list_items(field: str, frame: pl.DataFrame) -> pl.Expr:
    """Return the items of a list cell; an item with a comma is quoted inside the cell."""
    if not frame[field].str.contains('"', literal=True).any():
        return pl.col(field).str.split(",").alias("org")
    item = pl.element().str.strip_chars()
    quoted = item.str.starts_with('"') & item.str.ends_with('"')
    bare = item.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"', literal=True)
    return pl.col(field).str.extract_all(LIST_ITEM).list.eval(pl.when(quoted).then(bare).otherwise(item)).alias("org")
