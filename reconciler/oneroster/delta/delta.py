"""A bundle of changes (delta) laid over the last good roster: pure, from frames to frames.

A row that is `active` replaces its record whole, one `tobedeleted` marks it, and what is not named stays as it was
sent before. What refers to something is looked up in the roster that comes of it, so that a reference may point to
what an earlier file brought.
"""

from __future__ import annotations

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
from reconciler.oneroster.roster.people import ROLE_FIELDS, USER_FIELDS, WAITING_FIELDS, extract_role_entries
from reconciler.oneroster.roster.roster import (
    CLASS_FIELDS,
    ENROLLMENT_FIELDS,
    FIELDS_OF,
    ORG_FIELDS,
    Roster,
    assemble_roster,
    collect_role_ids,
)
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.standard.tables import Standard

# Changes of people and of their roles laid over those before: two columns of users.csv in 1.1, roles.csv in 1.2.


def overlay_roles(base: Snapshot, file_rows: FileRows | None, standard: Standard) -> FileOverlay:
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
        aside = select_carried_quarantine(base, "roles", earlier["user"].clear())
        empty = FileRows(0, earlier, aside, map_field_places(standard, "roles"), (), delta=True)
        return FileOverlay(empty, earlier.clear(), earlier["user"].clear())
    sent = file_rows.frame.filter(pl.col("status") == "active")
    deleted = pl.concat(
        [
            file_rows.frame.filter(pl.col("status") == "tobedeleted").select("sourced_id"),
            file_rows.deletions.select("sourced_id"),
        ]
    )["sourced_id"]
    nameless = earlier.filter(pl.col("sourced_id").is_null()).join(sent, on=["user", "org"], how="semi")
    stays = earlier.join(nameless, on=["user", "org"], how="anti", maintain_order="left")
    stays = stays.filter(~pl.col("sourced_id").is_in(sent["sourced_id"].implode()).fill_null(False)).with_columns(
        pl.when(pl.col("sourced_id").is_in(deleted.implode()))
        .then(pl.lit("tobedeleted"))
        .otherwise("status")
        .alias("status")
    )
    known = earlier.filter(pl.col("sourced_id").is_in(file_rows.deletions["sourced_id"].implode()))["sourced_id"]
    said = file_rows.deletions.filter(pl.col("sourced_id").is_in(known.implode()))["line"]
    touched = collect_row_keys(file_rows.frame["user"], file_rows.quarantine)
    frame = pl.concat([stays, sent.select(stays.columns)])
    aside = file_rows.quarantine.filter(~pl.col("line").is_in(said.implode()))
    aside = pl.concat([aside, select_carried_quarantine(base, "roles", touched)])
    return FileOverlay(replace(file_rows, frame=frame, quarantine=aside), sent, touched)


def _collect_earlier_roles(base: Snapshot) -> pl.DataFrame:
    active = base.roles.with_columns(pl.lit("active").alias("status")).select(WAITING_FIELDS)
    rows = [active, base.waiting["roles"].select(WAITING_FIELDS)] if "roles" in base.waiting else [active]
    named = base.role_ids.unique(["user", "org", "role", "line"], keep="first", maintain_order=True)
    return pl.concat(rows).join(named, on=["user", "org", "role", "line"], how="left", maintain_order="left")


def drop_unknown_people(roles: FileOverlay, users: FileRows | None) -> FileOverlay:
    """A bad row of roles.csv sent earlier protects nobody who is not in a whole users.csv any more."""
    if users is None or users.delta or not roles.file_rows.delta:
        return roles
    known = collect_row_keys(users.frame["sourced_id"], users.quarantine)
    known = pl.concat([known, roles.delta_keys])
    aside = roles.file_rows.quarantine.filter(pl.col("key").is_null() | pl.col("key").is_in(known.implode()))
    return replace(roles, file_rows=replace(roles.file_rows, quarantine=aside))


def fill_primary_org(base: Snapshot, users: FileOverlay) -> FileOverlay:
    """The org of a person's primary role stays what it was unless the delta names another."""
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
    """Everybody's roles in 1.1: of those whose row came along now, what it says; of the others, what was."""
    fields = ["user", "org", "role", "line"]
    before = _collect_earlier_roles(base).sort(~pl.col("primary").fill_null(False), maintain_order=True)
    before = before.join(new_rows, left_on="user", right_on="sourced_id", how="anti", maintain_order="left").select(
        fields
    )
    if "orgs" not in new_rows.columns or not new_rows.height:
        return before
    return pl.concat([before, extract_role_entries(new_rows).select(fields)])


def fill_user_orgs(users: FileOverlay, entries: pl.DataFrame) -> FileOverlay:
    """`orgs` also of those whose row came earlier: a message may have to name them."""
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
    """The roster that a bundle of changes can be laid over. Raises Refusal where there is none."""
    if base is None:
        message = "the bundle holds only changes (delta), and no whole roster of this customer is kept yet"
    elif base.version != version:
        message = f"the changes (delta) are OneRoster {version}, but the whole roster before them is {base.version}"
    else:
        return base
    raise Refusal([build_error("delta-without-whole", message, Span(name), "send the whole roster (bulk) first")])


def overlay_delta(
    base: Snapshot, files: Mapping[str, FileRows], standard: Standard, optional: Mapping[str, pl.Series]
) -> Roster:
    """files: those that came along; a whole (bulk) one takes the place of all earlier rows. optional: as in `assemble`.

    Raises Refusal where orgs are above each other in a circle.
    """
    stems = ("orgs", "users", "classes", "enrollments")
    laid = {stem: overlay_file(base, files.get(stem), standard, stem) for stem in stems}
    entries = None
    if "roles" in standard.tables:
        laid["roles"] = overlay_roles(base, files.get("roles"), standard)
        laid["roles"] = drop_unknown_people(laid["roles"], files.get("users"))
        laid["users"] = fill_primary_org(base, laid["users"])
    elif files.get("users") is None or files["users"].delta:
        entries = combine_role_entries(base, laid["users"].new_rows)
        laid["users"] = fill_user_orgs(laid["users"], entries)
    roster = assemble_roster({stem: each.file_rows for stem, each in laid.items()}, optional, entries)
    return _drop_foreign_rows(base, _drop_outdated_faults(roster, laid))


def _drop_outdated_faults(roster: Roster, overlays: Mapping[str, FileOverlay]) -> Roster:
    """Of what came earlier, an enrollment or a role whose person or class has left went with it, and is no fault."""
    fault = pl.col("code").is_in(["dangling-reference", "missing-role"])
    now = pl.any_horizontal(
        (pl.col("file") == f"{stem}.csv") & pl.col("key").is_in(each.delta_keys.implode())
        for stem, each in overlays.items()
        if stem in ("users", "roles", "classes", "enrollments")
    ).fill_null(False)
    people = collect_row_keys(overlays["users"].file_rows.frame["sourced_id"], overlays["users"].file_rows.quarantine)
    left = (pl.col("file") == "enrollments.csv") | (
        (pl.col("file") == "roles.csv") & ~pl.col("key").is_in(people.implode())
    )
    aside = roster.quarantine.filter(~(fault & ~now & left))
    return replace(roster, quarantine=mark_as_earlier(aside, fault & ~now))


def _drop_foreign_rows(base: Snapshot, roster: Roster) -> Roster:
    """In a bundle that several customers share, what names nothing of this customer may be another's."""
    if not base.shared:
        return roster
    frames = [
        *(collect_earlier_rows(base, stem)["sourced_id"].alias("key") for stem in FIELDS_OF),
        base.quarantine["key"],
    ]
    known = pl.concat([each.drop_nulls() for each in frames])
    theirs = (
        pl.col("code").is_in(["dangling-reference", "missing-role"]) & ~pl.col("key").is_in(known.implode())
    ).fill_null(False)
    strangers = roster.quarantine.filter(theirs)
    if not strangers.height:
        return roster
    said = build_info(
        "rows-of-others",
        f"{strangers.height:,} rows refer to nothing that this customer has, and count as another customer's",
    )
    return replace(
        roster, quarantine=roster.quarantine.filter(~theirs), diagnostics=(*roster.diagnostics, said), waiting={}
    )


def build_standalone_roster(files: Mapping[str, FileRows], standard: Standard) -> Roster:
    """A bundle of changes alone, for a look at its rows: what refers to something that is not in it is no finding."""
    frames = {stem: files[stem].frame if stem in files else _create_empty_frame(FIELDS_OF[stem]) for stem in FIELDS_OF}
    roles = _create_empty_frame(("user", "org", "role", "line"))
    if "roles" in files:
        roles = files["roles"].frame.filter(pl.col("status") == "active").select(roles.columns)
    elif "users" in files and "roles" not in standard.tables:
        roles = extract_role_entries(files["users"].frame).select(roles.columns)
    # Whose record is to be deleted need not be said in full.
    aside = [each.quarantine.filter(~pl.col("line").is_in(each.deletions["line"].implode())) for each in files.values()]
    return Roster(
        orgs=frames["orgs"].select(ORG_FIELDS),
        users=frames["users"].select(USER_FIELDS),
        roles=roles.with_columns(pl.col("user").is_first_distinct().alias("primary")).select(ROLE_FIELDS),
        classes=frames["classes"].select(CLASS_FIELDS),
        enrollments=frames["enrollments"].select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([create_empty_quarantine(), *aside]).sort("file", "line", "column"),
        diagnostics=(),
        waiting={},
        role_ids=collect_role_ids(files),
    )


def _create_empty_frame(fields: Iterable[str]) -> pl.DataFrame:
    types: dict[str, type[pl.DataType]] = {"line": pl.Int64, "enabled": pl.Boolean, "primary": pl.Boolean}
    return pl.DataFrame(schema={name: types.get(name, pl.String) for name in fields})
