"""Overlays a delta on the last good roster, without I/O.

An `active` row replaces its record, a `tobedeleted` row marks it, and other records stay as sent before. References are
checked in the resulting roster, so that they may point to records of earlier files.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.diagnostic import Refusal, Span, build_error, build_info
from reconciler.oneroster.csv_file.quarantine import create_empty_quarantine
from reconciler.oneroster.csv_file.rows import FileRows
from reconciler.oneroster.delta.file_changes import (
    FileOverlay,
    collect_earlier_rows,
    collect_row_keys,
    map_field_places,
    mark_as_earlier,
    overlay_file,
    select_carried_quarantine,
)
from reconciler.oneroster.roster.people import (
    ENTRY_FIELDS,
    ROLE_FIELDS,
    USER_FIELDS,
    WAITING_FIELDS,
    extract_role_entries,
)
from reconciler.oneroster.roster.roster import (
    CLASS_FIELDS,
    ENROLLMENT_FIELDS,
    FIELDS_OF,
    ORG_FIELDS,
    Roster,
    assemble_roster,
    collect_role_ids,
)
from reconciler.oneroster.snapshot import Snapshot, is_marked_deleted
from reconciler.oneroster.standard.tables import Standard


def overlay_roles(base: Snapshot, file_rows: FileRows | None, standard: Standard) -> FileOverlay:
    """Overlay roles.csv (1.2) on the earlier roles; None stands for a missing file."""
    if file_rows is not None and not file_rows.delta:
        return FileOverlay(file_rows, file_rows.frame, collect_row_keys(file_rows.frame["user"], file_rows.quarantine))
    earlier = (
        _collect_earlier_roles(base)
        .with_columns(
            pl.when(pl.col("primary")).then(pl.lit("primary")).otherwise(pl.lit("secondary")).alias("role_type")
        )
        .drop("primary")
    )
    if file_rows is None:
        quarantine = select_carried_quarantine(base, "roles", earlier["user"].clear())
        empty = FileRows(0, earlier, quarantine, map_field_places(standard, "roles"), (), delta=True)
        return FileOverlay(empty, earlier.clear(), earlier["user"].clear())
    new_rows = file_rows.frame.filter(pl.col("status") == "active")
    deleted = pl.concat(
        [
            file_rows.frame.filter(is_marked_deleted()).select("sourced_id"),
            file_rows.deletions.select("sourced_id"),
        ]
    )["sourced_id"]
    without_id = earlier.filter(pl.col("sourced_id").is_null()).join(new_rows, on=["user", "org"], how="semi")
    remaining = earlier.join(without_id, on=["user", "org"], how="anti", maintain_order="left")
    remaining = remaining.filter(
        ~pl.col("sourced_id").is_in(new_rows["sourced_id"].implode()).fill_null(False)
    ).with_columns(
        pl.when(pl.col("sourced_id").is_in(deleted.implode()))
        .then(pl.lit("tobedeleted"))
        .otherwise("status")
        .alias("status")
    )
    known = earlier.filter(pl.col("sourced_id").is_in(file_rows.deletions["sourced_id"].implode()))["sourced_id"]
    clear_lines = file_rows.deletions.filter(pl.col("sourced_id").is_in(known.implode()))["line"]
    delta_keys = collect_row_keys(file_rows.frame["user"], file_rows.quarantine)
    frame = pl.concat([remaining, new_rows.select(remaining.columns)])
    quarantine = file_rows.quarantine.filter(~pl.col("line").is_in(clear_lines.implode()))
    quarantine = pl.concat([quarantine, select_carried_quarantine(base, "roles", delta_keys)])
    return FileOverlay(replace(file_rows, frame=frame, quarantine=quarantine), new_rows, delta_keys)


def _collect_earlier_roles(base: Snapshot) -> pl.DataFrame:
    active = base.roles.with_columns(pl.lit("active").alias("status")).select(WAITING_FIELDS)
    rows = [active, base.waiting["roles"].select(WAITING_FIELDS)] if "roles" in base.waiting else [active]
    named = base.role_ids.unique(["user", "org", "role", "line"], keep="first", maintain_order=True)
    return pl.concat(rows).join(named, on=["user", "org", "role", "line"], how="left", maintain_order="left")


def drop_unknown_people(roles: FileOverlay, users: FileRows | None) -> FileOverlay:
    """Drop earlier bad rows of roles.csv for people who are no longer in a bulk users.csv."""
    if users is None or users.delta or not roles.file_rows.delta:
        return roles
    known = collect_row_keys(users.frame["sourced_id"], users.quarantine)
    known = pl.concat([known, roles.delta_keys])
    quarantine = roles.file_rows.quarantine.filter(pl.col("key").is_null() | pl.col("key").is_in(known.implode()))
    return replace(roles, file_rows=replace(roles.file_rows, quarantine=quarantine))


def fill_primary_org(base: Snapshot, users: FileOverlay) -> FileOverlay:
    """Keep the org of each person's primary role unless the delta names another."""
    frame = users.file_rows.frame
    if "primary_org" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("primary_org"))
    if users.file_rows.delta:
        before = base.roles.filter("primary").select(pl.col("user").alias("sourced_id"), pl.col("org").alias("before"))
        frame = (
            frame.join(before, on="sourced_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("primary_org", "before").alias("primary_org"))
            .drop("before")
        )
    return replace(users, file_rows=replace(users.file_rows, frame=frame))


def combine_role_entries(base: Snapshot, new_rows: pl.DataFrame) -> pl.DataFrame:
    """Return all roles in 1.1: from `new_rows` for their people, from the earlier roster for the others."""
    before = _collect_earlier_roles(base).sort(~pl.col("primary").fill_null(False), maintain_order=True)
    before = before.join(new_rows, left_on="user", right_on="sourced_id", how="anti", maintain_order="left").select(
        ENTRY_FIELDS
    )
    if "orgs" not in new_rows.columns or not new_rows.height:
        return before
    return pl.concat([before, extract_role_entries(new_rows)])


def fill_user_orgs(users: FileOverlay, entries: pl.DataFrame) -> FileOverlay:
    """Fill `orgs` of people sent earlier, because messages may name them."""
    frame = users.file_rows.frame
    if "orgs" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("orgs"))
    named = entries.group_by("user", maintain_order=True).agg(pl.col("org").str.join(",").alias("named"))
    frame = (
        frame.join(named, left_on="sourced_id", right_on="user", how="left", maintain_order="left")
        .with_columns(pl.coalesce("orgs", "named").alias("orgs"))
        .drop("named")
    )
    return replace(users, file_rows=replace(users.file_rows, frame=frame))


def require_full_base(base: Snapshot | None, version: str, name: str) -> Snapshot:
    """Return the full roster below a delta. Raises Refusal `delta-without-whole` if there is none of this version."""
    if base is None:
        message = "this is a delta roster, but the store has no full roster of this customer yet"
    elif base.version != version:
        message = f"this is a delta roster of OneRoster {version}, but the last full roster is {base.version}"
    else:
        return base
    raise Refusal([build_error("delta-without-whole", message, Span(name), "Send a full (bulk) roster first.")])


def overlay_delta(
    base: Snapshot, files: Mapping[str, FileRows], standard: Standard, optional: Mapping[str, pl.Series]
) -> Roster:
    """Overlay the files of a delta on a roster; a bulk file replaces all earlier rows.

    `optional` is as for `assemble_roster`.
    """
    stems = ("orgs", "users", "classes", "enrollments")
    overlays = {stem: overlay_file(base, files.get(stem), standard, stem) for stem in stems}
    entries = None
    if "roles" in standard.tables:
        overlays["roles"] = overlay_roles(base, files.get("roles"), standard)
        overlays["roles"] = drop_unknown_people(overlays["roles"], files.get("users"))
        overlays["users"] = fill_primary_org(base, overlays["users"])
    elif files.get("users") is None or files["users"].delta:
        entries = combine_role_entries(base, overlays["users"].new_rows)
        overlays["users"] = fill_user_orgs(overlays["users"], entries)
    roster = assemble_roster({stem: each.file_rows for stem, each in overlays.items()}, optional, entries)
    return _drop_foreign_rows(base, _drop_outdated_faults(roster, overlays))


def _drop_outdated_faults(roster: Roster, overlays: Mapping[str, FileOverlay]) -> Roster:
    """Drop faults of earlier enrollments and roles whose person or class is gone: they left with it."""
    fault = pl.col("code").is_in(["dangling-reference", "missing-role"])
    is_new = pl.any_horizontal(
        (pl.col("file") == f"{stem}.csv") & pl.col("key").is_in(each.delta_keys.implode())
        for stem, each in overlays.items()
        if stem in ("users", "roles", "classes", "enrollments")
    ).fill_null(False)
    people = collect_row_keys(overlays["users"].file_rows.frame["sourced_id"], overlays["users"].file_rows.quarantine)
    is_gone = (pl.col("file") == "enrollments.csv") | (
        (pl.col("file") == "roles.csv") & ~pl.col("key").is_in(people.implode())
    )
    quarantine = roster.quarantine.filter(~(fault & ~is_new & is_gone))
    return replace(roster, quarantine=mark_as_earlier(quarantine, fault & ~is_new))


def _drop_foreign_rows(base: Snapshot, roster: Roster) -> Roster:
    """In a roster shared by several customers, drop rows that refer to nothing of this customer."""
    if not base.shared:
        return roster
    frames = [
        *(collect_earlier_rows(base, stem)["sourced_id"].alias("key") for stem in FIELDS_OF),
        base.quarantine["key"],
    ]
    known = pl.concat([each.drop_nulls() for each in frames])
    is_foreign = (
        pl.col("code").is_in(["dangling-reference", "missing-role"]) & ~pl.col("key").is_in(known.implode())
    ).fill_null(False)
    foreign = roster.quarantine.filter(is_foreign)
    if not foreign.height:
        return roster
    info = build_info(
        "rows-of-others",
        f"{foreign.height:,} rows refer to no record of this customer and count as another customer's",
    )
    return replace(
        roster, quarantine=roster.quarantine.filter(~is_foreign), diagnostics=(*roster.diagnostics, info), waiting={}
    )


def build_standalone_roster(files: Mapping[str, FileRows], standard: Standard) -> Roster:
    """Return a delta without a base, to check its rows; references to other records are not checked."""
    frames = {stem: files[stem].frame if stem in files else _create_empty_frame(FIELDS_OF[stem]) for stem in FIELDS_OF}
    roles = _create_empty_frame(ENTRY_FIELDS)
    if "roles" in files:
        roles = files["roles"].frame.filter(pl.col("status") == "active").select(roles.columns)
    elif "users" in files and "roles" not in standard.tables:
        roles = extract_role_entries(files["users"].frame).select(roles.columns)
    # A row that deletes its record need not be complete.
    quarantines = [
        each.quarantine.filter(~pl.col("line").is_in(each.deletions["line"].implode())) for each in files.values()
    ]
    return Roster(
        orgs=frames["orgs"].select(ORG_FIELDS),
        users=frames["users"].select(USER_FIELDS),
        roles=roles.with_columns(pl.col("user").is_first_distinct().alias("primary")).select(ROLE_FIELDS),
        classes=frames["classes"].select(CLASS_FIELDS),
        enrollments=frames["enrollments"].select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([create_empty_quarantine(), *quarantines]).sort("file", "line", "column"),
        diagnostics=(),
        waiting={},
        role_ids=collect_role_ids(files),
    )


def _create_empty_frame(fields: Iterable[str]) -> pl.DataFrame:
    types: dict[str, type[pl.DataType]] = {"line": pl.Int64, "enabled": pl.Boolean, "primary": pl.Boolean}
    return pl.DataFrame(schema={name: types.get(name, pl.String) for name in fields})
