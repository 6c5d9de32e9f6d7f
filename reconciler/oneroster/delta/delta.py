"""A bundle of changes (delta) laid over the last good roster: pure, from frames to frames.

A row that is `active` replaces its record whole, one `tobedeleted` marks it, and what is not named stays as it was
sent before. What refers to something is looked up in the roster that comes of it, so that a reference may point to
what an earlier file brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.diagnostic import Refusal, Span, error, info
from reconciler.oneroster.csv_file.quarantine import nothing_aside
from reconciler.oneroster.csv_file.rows import Checked
from reconciler.oneroster.delta.file_changes import (
    Laid,
    carried,
    earlier_rows,
    laid_file,
    places_of,
    row_keys,
    said_earlier,
)
from reconciler.oneroster.roster.people import ROLE_FIELDS, USER_FIELDS, WAITING_FIELDS, entries_of_1_1
from reconciler.oneroster.roster.roster import (
    CLASS_FIELDS,
    ENROLLMENT_FIELDS,
    FIELDS_OF,
    ORG_FIELDS,
    Roster,
    assemble,
    role_ids,
)
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.standard.tables import Standard

# Changes of people and of their roles laid over those before: two columns of users.csv in 1.1, roles.csv in 1.2.


def laid_roles(base: Snapshot, checked: Checked | None, standard: Standard) -> Laid:
    if checked is not None and not checked.delta:
        return Laid(checked, checked.frame, row_keys(checked.frame["user"], checked.aside))
    earlier = (
        _earlier_roles(base)
        .with_columns(
            pl.when(pl.col("primary")).then(pl.lit("primary")).otherwise(pl.lit("secondary")).alias("role_type")
        )
        .drop("primary")
    )
    if checked is None:
        aside = carried(base, "roles", earlier["user"].clear())
        empty = Checked(0, earlier, aside, places_of(standard, "roles"), (), delta=True)
        return Laid(empty, earlier.clear(), earlier["user"].clear())
    sent = checked.frame.filter(pl.col("status") == "active")
    deleted = pl.concat(
        [
            checked.frame.filter(pl.col("status") == "tobedeleted").select("sourced_id"),
            checked.gone.select("sourced_id"),
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
    known = earlier.filter(pl.col("sourced_id").is_in(checked.gone["sourced_id"].implode()))["sourced_id"]
    said = checked.gone.filter(pl.col("sourced_id").is_in(known.implode()))["line"]
    touched = row_keys(checked.frame["user"], checked.aside)
    frame = pl.concat([stays, sent.select(stays.columns)])
    aside = checked.aside.filter(~pl.col("line").is_in(said.implode()))
    aside = pl.concat([aside, carried(base, "roles", touched)])
    return Laid(replace(checked, frame=frame, aside=aside), sent, touched)


def _earlier_roles(base: Snapshot) -> pl.DataFrame:
    active = base.roles.with_columns(pl.lit("active").alias("status")).select(WAITING_FIELDS)
    rows = [active, base.waiting["roles"].select(WAITING_FIELDS)] if "roles" in base.waiting else [active]
    named = base.role_ids.unique(["user", "org", "role", "line"], keep="first", maintain_order=True)
    return pl.concat(rows).join(named, on=["user", "org", "role", "line"], how="left", maintain_order="left")


def of_known_people(roles: Laid, users: Checked | None) -> Laid:
    """A bad row of roles.csv sent earlier protects nobody who is not in a whole users.csv any more."""
    if users is None or users.delta or not roles.checked.delta:
        return roles
    known = row_keys(users.frame["sourced_id"], users.aside)
    known = pl.concat([known, roles.touched])
    aside = roles.checked.aside.filter(pl.col("key").is_null() | pl.col("key").is_in(known.implode()))
    return replace(roles, checked=replace(roles.checked, aside=aside))


def with_primary_org(base: Snapshot, users: Laid) -> Laid:
    """The org of a person's primary role stays what it was unless the delta names another."""
    frame = users.checked.frame
    if "primary_org" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("primary_org"))
    if users.checked.delta:
        before = base.roles.filter("primary").select(pl.col("user").alias("sourced_id"), pl.col("org").alias("before"))
        frame = (
            frame.join(before, on="sourced_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("primary_org", "before").alias("primary_org"))
            .drop("before")
        )
    return replace(users, checked=replace(users.checked, frame=frame))


def everybodys_entries(base: Snapshot, sent: pl.DataFrame) -> pl.DataFrame:
    """Everybody's roles in 1.1: of those whose row came along now, what it says; of the others, what was."""
    fields = ["user", "org", "role", "line"]
    before = _earlier_roles(base).sort(~pl.col("primary").fill_null(False), maintain_order=True)
    before = before.join(sent, left_on="user", right_on="sourced_id", how="anti", maintain_order="left").select(fields)
    if "orgs" not in sent.columns or not sent.height:
        return before
    return pl.concat([before, entries_of_1_1(sent).select(fields)])


def with_orgs(users: Laid, entries: pl.DataFrame) -> Laid:
    """`orgs` also of those whose row came earlier: a message may have to name them."""
    frame = users.checked.frame
    if "orgs" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("orgs"))
    named = entries.group_by("user", maintain_order=True).agg(pl.col("org").str.join(",").alias("named"))
    frame = (
        frame.join(named, left_on="sourced_id", right_on="user", how="left", maintain_order="left")
        .with_columns(pl.coalesce("orgs", "named").alias("orgs"))
        .drop("named")
    )
    return replace(users, checked=replace(users.checked, frame=frame))


def whole_before(base: Snapshot | None, version: str, name: str) -> Snapshot:
    """The roster that a bundle of changes can be laid over. Raises Refusal where there is none."""
    if base is None:
        message = "the bundle holds only changes (delta), and no whole roster of this customer is kept yet"
    elif base.version != version:
        message = f"the changes (delta) are OneRoster {version}, but the whole roster before them is {base.version}"
    else:
        return base
    raise Refusal([error("delta-without-whole", message, Span(name), "send the whole roster (bulk) first")])


def lay_over(
    base: Snapshot, files: Mapping[str, Checked], standard: Standard, optional: Mapping[str, pl.Series]
) -> Roster:
    """files: those that came along; a whole (bulk) one takes the place of all earlier rows. optional: as in `assemble`.

    Raises Refusal where orgs are above each other in a circle.
    """
    stems = ("orgs", "users", "classes", "enrollments")
    laid = {stem: laid_file(base, files.get(stem), standard, stem) for stem in stems}
    entries = None
    if "roles" in standard.tables:
        laid["roles"] = laid_roles(base, files.get("roles"), standard)
        laid["roles"] = of_known_people(laid["roles"], files.get("users"))
        laid["users"] = with_primary_org(base, laid["users"])
    elif files.get("users") is None or files["users"].delta:
        entries = everybodys_entries(base, laid["users"].sent)
        laid["users"] = with_orgs(laid["users"], entries)
    roster = assemble({stem: each.checked for stem, each in laid.items()}, optional, entries)
    return _without_strangers(base, _without_earlier_parents(roster, laid))


def _without_earlier_parents(roster: Roster, laid: Mapping[str, Laid]) -> Roster:
    """Of what came earlier, an enrollment or a role whose person or class has left went with it, and is no fault."""
    fault = pl.col("code").is_in(["dangling-reference", "missing-role"])
    now = pl.any_horizontal(
        (pl.col("file") == f"{stem}.csv") & pl.col("key").is_in(each.touched.implode())
        for stem, each in laid.items()
        if stem in ("users", "roles", "classes", "enrollments")
    ).fill_null(False)
    people = row_keys(laid["users"].checked.frame["sourced_id"], laid["users"].checked.aside)
    left = (pl.col("file") == "enrollments.csv") | (
        (pl.col("file") == "roles.csv") & ~pl.col("key").is_in(people.implode())
    )
    aside = roster.quarantine.filter(~(fault & ~now & left))
    return replace(roster, quarantine=said_earlier(aside, fault & ~now))


def _without_strangers(base: Snapshot, roster: Roster) -> Roster:
    """In a bundle that several customers share, what names nothing of this customer may be another's."""
    if not base.shared:
        return roster
    frames = [*(earlier_rows(base, stem)["sourced_id"].alias("key") for stem in FIELDS_OF), base.quarantine["key"]]
    known = pl.concat([each.drop_nulls() for each in frames])
    theirs = (
        pl.col("code").is_in(["dangling-reference", "missing-role"]) & ~pl.col("key").is_in(known.implode())
    ).fill_null(False)
    strangers = roster.quarantine.filter(theirs)
    if not strangers.height:
        return roster
    said = info(
        "rows-of-others",
        f"{strangers.height:,} rows refer to nothing that this customer has, and count as another customer's",
    )
    return replace(
        roster, quarantine=roster.quarantine.filter(~theirs), diagnostics=(*roster.diagnostics, said), waiting={}
    )


def by_themselves(files: Mapping[str, Checked], standard: Standard) -> Roster:
    """A bundle of changes alone, for a look at its rows: what refers to something that is not in it is no finding."""
    frames = {stem: files[stem].frame if stem in files else _nothing(FIELDS_OF[stem]) for stem in FIELDS_OF}
    roles = _nothing(("user", "org", "role", "line"))
    if "roles" in files:
        roles = files["roles"].frame.filter(pl.col("status") == "active").select(roles.columns)
    elif "users" in files and "roles" not in standard.tables:
        roles = entries_of_1_1(files["users"].frame).select(roles.columns)
    # Whose record is to be deleted need not be said in full.
    aside = [each.aside.filter(~pl.col("line").is_in(each.gone["line"].implode())) for each in files.values()]
    return Roster(
        orgs=frames["orgs"].select(ORG_FIELDS),
        users=frames["users"].select(USER_FIELDS),
        roles=roles.with_columns(pl.col("user").is_first_distinct().alias("primary")).select(ROLE_FIELDS),
        classes=frames["classes"].select(CLASS_FIELDS),
        enrollments=frames["enrollments"].select(ENROLLMENT_FIELDS),
        quarantine=pl.concat([nothing_aside(), *aside]).sort("file", "line", "column"),
        diagnostics=(),
        waiting={},
        role_ids=role_ids(files),
    )


def _nothing(fields: Iterable[str]) -> pl.DataFrame:
    types: dict[str, type[pl.DataType]] = {"line": pl.Int64, "enabled": pl.Boolean, "primary": pl.Boolean}
    return pl.DataFrame(schema={name: types.get(name, pl.String) for name in fields})
