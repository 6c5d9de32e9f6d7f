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
from reconciler.oneroster.aside import nothing_aside
from reconciler.oneroster.delta_people import (
    everybodys_entries,
    laid_roles,
    of_known_people,
    with_orgs,
    with_primary_org,
)
from reconciler.oneroster.laid import Laid, earlier_rows, laid_file, row_keys, said_earlier
from reconciler.oneroster.people import ROLE_FIELDS, USER_FIELDS, entries_of_1_1
from reconciler.oneroster.roster import (
    CLASS_FIELDS,
    ENROLLMENT_FIELDS,
    FIELDS_OF,
    ORG_FIELDS,
    Roster,
    assemble,
    role_ids,
)
from reconciler.oneroster.rows import Checked
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.tables import Standard


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
