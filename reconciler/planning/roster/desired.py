"""Builds one customer's desired roster from a snapshot: the rows that belong to it, in the store's terms, with lines.

Rows belong to the customer whose `client_partner_id` is their org or an ancestor of it. A row that fails a check is
quarantined: it changes nothing, and the records that it names are protected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.roster import ROLE_SEPARATOR, AccountStatus, list_field_names
from reconciler.model.text_form import make_caseless_column
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, UNREADABLE, Snapshot, is_marked_deleted
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.roster import placement
from reconciler.planning.roster.quarantine import build_quarantine_rows
from reconciler.planning.roster.role_dates import DatedRoles, find_roles_elsewhere, split_roles_by_date
from reconciler.planning.roster.selection import RosterSelection, add_orgs_below, apply_selection, select_everything

DUPLICATE_USERNAME = "duplicate-username"


@dataclass(frozen=True, slots=True)
class DesiredRoster:
    """One customer's roster as its source and configuration want it."""

    #: by roster kind, the rows that should exist: `sourced_id`, the kind's fields, `line`, `fingerprint`; UNREADABLE of
    #: kinds that may have unreadable values
    frames: Mapping[Kind, pl.DataFrame]
    #: by kind, `key`, `line` and `status` of rows that the source marks as deleted
    deletion_marks: Mapping[Kind, pl.DataFrame]
    #: sourcedIds of people in the file who have no role in this customer's orgs
    people_of_other_orgs: pl.Series
    #: sourcedIds of the customer's orgs in the file, selected or not
    own_orgs: pl.Series
    #: by kind, sourcedIds of the customer's rows that its configuration does not select
    unselected_ids: Mapping[Kind, pl.Series]
    #: people are selected by their classes
    selects_by_classes: bool
    quarantine: pl.DataFrame
    #: sourcedIds of people of whom every role has ended
    ended_people: pl.Series
    #: rows of people whose role has not begun (QUARANTINE_SCHEMA)
    people_to_come: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]

    @property
    def rows_set_aside(self) -> pl.DataFrame:
        """The rows that protect what they name: quarantined ones, and those of people whose role has not begun."""
        return pl.concat([self.quarantine, self.people_to_come])

    @property
    def unidentified(self) -> frozenset[Kind]:
        """The kinds of which a quarantined row may mean any record.

        These are the kinds of rows without a readable sourcedId, except rows of roles.csv: whoever is in users.csv and
        has no readable role is quarantined, and `list_people_without_clear_roles` has the others. A quarantined org may
        be anybody's school, so it adds every kind; if people are selected by their classes, an enrollment may be
        anybody's, so it adds people.
        """
        keyless = self.quarantine.filter(pl.col("key").is_null() & (pl.col("file") != "roles.csv"))["kind"].unique()
        kinds = frozenset(Kind(value) for value in keyless.to_list())
        if self.selects_by_classes and Kind.ENROLLMENT in kinds:
            kinds |= {Kind.USER}
        return frozenset(ROSTER_KINDS) if _has_quarantined(self.quarantine, Kind.ORG) else kinds

    def list_protected(self, kind: Kind) -> pl.Series:
        """Return the sourcedIds that rows of a kind name which are set aside."""
        return _list_quarantined_ids(self.rows_set_aside, kind).unique()

    def list_people_without_clear_roles(self) -> pl.Series:
        """Return the sourcedIds of people in the file who are not wanted, but may be if a row of roles.csv that names
        nobody is theirs; empty without such a row."""
        people = pl.concat([self.people_of_other_orgs, self.ended_people, self.unselected_ids[Kind.USER]])
        nameless = self.quarantine.filter(pl.col("key").is_null() & (pl.col("file") == "roles.csv"))
        return people if nameless.height else people.clear()

    def count_clashing(self) -> int:
        """Return the number of people who are quarantined because another row has their username."""
        return self.quarantine.filter(pl.col("code") == DUPLICATE_USERNAME).height

    @property
    def people_in_file(self) -> pl.Series:
        """Every sourcedId of a person that the file names; its account cannot be another person's."""
        return pl.concat(
            [
                self.people_of_other_orgs,
                self.ended_people,
                self.unselected_ids[Kind.USER],
                self.frames[Kind.USER]["sourced_id"],
                self.deletion_marks[Kind.USER]["key"],
                self.list_protected(Kind.USER),
            ]
        )


def find_belonging_orgs(orgs: pl.DataFrame, client_partner_id: str, extra_orgs: pl.Series | None = None) -> pl.Series:
    """Return the sourcedIds of the customer's org and all orgs below it, empty if the file has no such org.
    `extra_orgs` are further orgs of the customer that the file cannot place."""
    tops = orgs.filter(pl.col("sourced_id") == client_partner_id)["sourced_id"]
    if tops.len() and extra_orgs is not None:
        tops = pl.concat([tops, extra_orgs.alias("sourced_id")]).unique(maintain_order=True)
    return add_orgs_below(orgs, tops)


def build_desired_roster(
    snapshot: Snapshot,
    client_partner_id: str,
    suffix: str | None,
    known_orgs: pl.Series | None = None,
    selection: RosterSelection | None = None,
    today: str | None = None,
) -> DesiredRoster:
    """Return the roster that a snapshot wants for the customer whose org is `client_partner_id`.

    `suffix` is appended to usernames; `known_orgs` are the sourcedIds of the customer's orgs in the store; roles count
    as of `today` (YYYY-MM-DD; None: all do). Raises
    Refusal: `not-this-customer` if no row belongs to `client_partner_id`, `schools-without-parent` if most people are
    in schools that belong to no institution of the file, `selection-matches-nobody`.
    """
    belonging = _find_belonging_rows(snapshot, client_partner_id, suffix, known_orgs, today)
    rows, quarantine, dated = belonging.rows, belonging.quarantine, belonging.dated
    marked = {kind: _list_deletion_marks(kind, rows[kind], snapshot.bare_deletions.get(kind)) for kind in ROSTER_KINDS}
    set_aside = pl.concat([quarantine, dated.people_to_come])
    quarantined_ids = {kind: _list_quarantined_ids(set_aside, kind) for kind in ROSTER_KINDS}
    selected = (
        apply_selection(selection, rows, dated.roles, quarantined_ids, belonging.unplaced_orgs)
        if selection
        else select_everything(rows)
    )
    people, clashing = _split_clashing_usernames(selected.rows[Kind.USER])
    quarantine = _add_clashing_to_quarantine(quarantine, clashing)
    return DesiredRoster(
        frames=_build_frames({**selected.rows, Kind.USER: people}, marked, quarantine),
        deletion_marks=marked,
        people_of_other_orgs=belonging.people_of_other_orgs,
        own_orgs=rows[Kind.ORG]["sourced_id"],
        unselected_ids=selected.unselected_ids,
        selects_by_classes=selection is not None and selection.classes is not None,
        quarantine=quarantine,
        ended_people=dated.ended_people,
        people_to_come=dated.people_to_come,
        diagnostics=(
            *dated.diagnostics,
            *placement.describe_unplaced_orgs(belonging.unplaced),
            *selected.diagnostics,
            *_warn_clashing_usernames(clashing),
        ),
    )


@dataclass(frozen=True, slots=True)
class _BelongingRows:
    """The rows of a snapshot that are one customer's."""

    #: by kind, rows marked as to be deleted included
    rows: Mapping[Kind, pl.DataFrame]
    dated: DatedRoles
    #: sourcedIds of the customer's orgs that the file cannot place
    unplaced_orgs: pl.Series
    people_of_other_orgs: pl.Series
    #: rows of orgs that nothing shows to be the customer's or another's
    unplaced: placement.UnplacedRows
    #: rows that are not used, those of `unplaced` included
    quarantine: pl.DataFrame


def _find_belonging_rows(
    snapshot: Snapshot, client_partner_id: str, suffix: str | None, known_orgs: pl.Series | None, today: str | None
) -> _BelongingRows:
    """Raise Refusal: `not-this-customer` if no row belongs to `client_partner_id`, or `schools-without-parent`."""
    unplaced_orgs = _find_unplaced_orgs(snapshot, client_partner_id, known_orgs)
    orgs = find_belonging_orgs(snapshot.orgs, client_partner_id, unplaced_orgs)
    if not orgs.len():
        raise Refusal([_report_foreign_file(snapshot, client_partner_id)])
    # If every org of the file is this customer's and none is quarantined, so is every other row.
    has_whole_file = orgs.len() == snapshot.orgs.height and not _has_quarantined(snapshot.quarantine, Kind.ORG)
    inside = pl.DataFrame({"org": orgs})
    roles = snapshot.roles if has_whole_file else snapshot.roles.join(inside, on="org", how="semi")
    users = snapshot.users.join(roles, left_on="sourced_id", right_on="user", how="semi")
    elsewhere = find_roles_elsewhere(_list_all_roles(snapshot), orgs, today)
    unplaced = placement.find_unplaced_rows(snapshot, client_partner_id, orgs, elsewhere["user"])
    _refuse_misplaced_people(snapshot, client_partner_id, users, unplaced)
    strays = placement.quarantine_people_of_unknown_orgs(snapshot, users, elsewhere)
    quarantine = pl.concat([snapshot.quarantine.select(list(QUARANTINE_SCHEMA)), unplaced.quarantine, strays])
    others = (
        users["sourced_id"].clear()
        if users.height == snapshot.users.height
        else snapshot.users.join(users, on="sourced_id", how="anti")["sourced_id"]
    )
    dated = split_roles_by_date(roles, users, today, _list_quarantined_ids(quarantine, Kind.USER))
    if dated.roles.height < roles.height:
        users = users.join(dated.roles, left_on="sourced_id", right_on="user", how="semi", maintain_order="left")
    classes, enrollments = snapshot.classes, _exclude_keys(snapshot.enrollments, "user", dated.ended_people)
    if not has_whole_file:
        classes = classes.join(inside, left_on="school", right_on="org", how="semi")
        set_aside = pl.concat([quarantine, dated.people_to_come])
        enrollments = _filter_belonging_enrollments(enrollments, users, classes, set_aside)
    rows = {
        Kind.ORG: _build_orgs(snapshot.orgs, orgs, client_partner_id, unplaced_orgs),
        Kind.USER: _build_people(users, dated.roles, suffix),
        Kind.CLASS: classes,
        Kind.ENROLLMENT: enrollments,
    }
    return _BelongingRows(rows, dated, unplaced_orgs, others, unplaced, quarantine)


def _list_all_roles(snapshot: Snapshot) -> pl.DataFrame:
    """Return `user`, `org`, `begin_date` and `end_date` of all roles, those in orgs that the file lacks included."""
    columns = ["user", "org", "begin_date", "end_date"]
    roles, waiting = snapshot.roles.select(columns), snapshot.waiting.get("roles")
    if waiting is None:
        return roles
    return pl.concat([roles, waiting.filter(~is_marked_deleted()).select(columns)])


def _refuse_misplaced_people(
    snapshot: Snapshot, client_partner_id: str, users: pl.DataFrame, unplaced: placement.UnplacedRows
) -> None:
    """Raise Refusal if nobody of the file belongs to the customer, or most of its people belong to nobody.

    In a file of several districts, unplaced schools may be another's: then only a customer without any school is
    refused. `users` are the customer's people."""
    if unplaced.people_count > users.height and (
        not placement.has_other_districts(snapshot, client_partner_id)
        or snapshot.roles.join(users, left_on="user", right_on="sourced_id", how="semi")
        .filter(pl.col("org") != client_partner_id)
        .is_empty()
    ):
        raise Refusal([placement.report_schools_without_parent(snapshot, client_partner_id, unplaced, users.height)])
    says_nobody = not _has_quarantined(snapshot.quarantine, Kind.USER) and Kind.USER not in snapshot.bare_deletions
    if not users.height and (snapshot.users.height or says_nobody):
        raise Refusal([_report_nobody(snapshot, client_partner_id)])


def _build_orgs(
    orgs: pl.DataFrame, belonging_ids: pl.Series, client_partner_id: str, unplaced_ids: pl.Series
) -> pl.DataFrame:
    """Return the customer's orgs; its top org has no parent, and neither has one whose parent is another customer's.
    The parent of an unplaced org is unreadable."""
    ids = belonging_ids.implode()
    keeps_parent = (pl.col("sourced_id") != client_partner_id) & pl.col("parent").is_in(ids)
    is_unplaced = pl.col("sourced_id").is_in(unplaced_ids.implode()) & ~keeps_parent.fill_null(False)
    return orgs.filter(pl.col("sourced_id").is_in(ids)).with_columns(
        pl.when(keeps_parent).then(pl.col("parent")).alias("parent"),
        pl.when(is_unplaced).then(pl.lit("parent")).alias(UNREADABLE),
    )


def _build_frames(
    wanted: Mapping[Kind, pl.DataFrame], marked: Mapping[Kind, pl.DataFrame], quarantine: pl.DataFrame
) -> dict[Kind, pl.DataFrame]:
    """Return the rows that are neither marked as to be deleted nor quarantined, with fingerprints."""
    frames: dict[Kind, pl.DataFrame] = {}
    for kind in ROSTER_KINDS:
        frame = _exclude_keys(wanted[kind], "sourced_id", marked[kind]["key"])
        if kind is Kind.ENROLLMENT:
            frame = _exclude_keys(frame, "user", marked[Kind.USER]["key"])
            frame = _exclude_keys(frame, "class", marked[Kind.CLASS]["key"])
        frame = _exclude_keys(frame, "sourced_id", _list_quarantined_ids(quarantine, kind))
        optional = [UNREADABLE] if UNREADABLE in frame.columns else []
        frames[kind] = frame.select("sourced_id", *list_field_names(kind), "line", *optional).with_columns(
            compute_fingerprint(kind)
        )
    return frames


def _list_deletion_marks(kind: Kind, rows: pl.DataFrame, bare: pl.DataFrame | None) -> pl.DataFrame:
    """Return the marks of rows, and those of `bare` deletions, which may be another customer's: they name no org."""
    status = "status_of_row" if kind is Kind.USER else "status"
    marks = rows.filter(is_marked_deleted(status)).select(
        pl.col("sourced_id").alias("key"), "line", pl.col(status).alias("status")
    )
    return (
        marks if bare is None else pl.concat([marks, bare.select(pl.col("sourced_id").alias("key"), "line", "status")])
    )


def _exclude_keys(frame: pl.DataFrame, column: str, keys: pl.Series) -> pl.DataFrame:
    return frame.join(keys.rename(column).to_frame(), on=column, how="anti") if keys.len() else frame


def _find_unplaced_orgs(snapshot: Snapshot, client_partner_id: str, known_orgs: pl.Series | None) -> pl.Series:
    """Return the customer's orgs of which nothing shows that they left: their own row is quarantined, they are lost or
    below a lost org, or they are their own ancestors."""
    if known_orgs is None:
        return pl.Series("sourced_id", [], dtype=pl.String)
    quarantined = _list_quarantined_ids(snapshot.quarantine, Kind.ORG)
    lost = add_orgs_below(snapshot.orgs, placement.find_lost_orgs(snapshot, client_partner_id)["sourced_id"])
    cut = placement.list_cut_orgs(snapshot, client_partner_id)
    unplaced = pl.concat([quarantined.alias("sourced_id"), lost, cut]).unique().sort()
    return unplaced.filter(unplaced.is_in(known_orgs.implode()))


def _build_people(users: pl.DataFrame, roles: pl.DataFrame, suffix: str | None) -> pl.DataFrame:
    """Return users with `role` and `roles` of this customer's orgs, and the username with the customer's suffix."""
    named = roles.select("user", "role", "primary", "line", (pl.col("org") + "=" + pl.col("role")).alias("roles"))
    if roles["user"].n_unique() < roles.height:
        named = (
            named.sort("user", pl.col("primary").fill_null(False).not_(), "line", "roles")
            .group_by("user", maintain_order=True)
            .agg(pl.col("role").first(), pl.col("roles").unique().sort().str.join(ROLE_SEPARATOR))
        )
    entries = named.select("user", "role", "roles")
    enabled = pl.col("enabled").fill_null(True)
    if "aliases" not in users.columns:
        users = users.with_columns(pl.lit(None, dtype=pl.String).alias("aliases"))
    return (
        users.join(entries, left_on="sourced_id", right_on="user", how="left", maintain_order="left")
        .rename({"status": "status_of_row", "username": "roster_username"})
        .with_columns(
            (pl.col("roster_username") + pl.lit(suffix or "")).alias("username"),
            pl.when(enabled)
            .then(pl.lit(AccountStatus.ACTIVE.value))
            .otherwise(pl.lit(AccountStatus.SUSPENDED.value))
            .alias("status"),
            pl.lit(True).alias("bound"),
        )
    )


def _split_clashing_usernames(people: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return people whose username no other row of the file has, and those who share one, without
    differences of letter case and of what nobody sees."""
    folded = people.select("sourced_id", "status_of_row", make_caseless_column(people["username"]).alias("folded"))
    repeated = folded.filter(
        pl.col("folded").is_not_null() & pl.col("folded").is_duplicated() & ~is_marked_deleted("status_of_row")
    )
    shared = repeated.filter(pl.col("folded").is_duplicated())
    if not shared.height:
        return people, people.clear()
    return people.join(shared, on="sourced_id", how="anti"), people.join(shared, on="sourced_id", how="semi")


def _add_clashing_to_quarantine(quarantine: pl.DataFrame, clashing: pl.DataFrame) -> pl.DataFrame:
    if not clashing.height:
        return quarantine
    one_person = pl.lit("If both rows are one person's, list their sourcedIds under rostering.merges. ")
    rows = build_quarantine_rows(
        Kind.USER,
        clashing,
        "sourced_id",
        DUPLICATE_USERNAME,
        pl.lit("another row of this file has the same username"),
        pl.concat_str(
            pl.when(_seems_one_person()).then(one_person).otherwise(pl.lit("")),
            pl.lit("Give each person a username of their own. Until then both stay unchanged."),
        ),
    )
    return pl.concat([quarantine, rows])


def _seems_one_person() -> pl.Expr:
    """Select rows of one username that also have one identifier, or one given and family name."""
    username = pl.col("username").map_batches(make_caseless_column, return_dtype=pl.String, is_elementwise=True)
    named = pl.col("given_name").is_not_null() & pl.col("family_name").is_not_null()
    same_name = (pl.struct("given_name", "family_name").n_unique().over(username) == 1) & named
    return same_name | ((pl.col("identifier").n_unique().over(username) == 1) & pl.col("identifier").is_not_null())


def _filter_belonging_enrollments(
    enrollments: pl.DataFrame, users: pl.DataFrame, classes: pl.DataFrame, quarantine: pl.DataFrame
) -> pl.DataFrame:
    """Return enrollments whose class and user are this customer's, or are quarantined and may be.

    A quarantined row counts for every customer of the ZIP file: its owner is not certain.
    """

    def list_possible(kind: Kind, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        quarantined = _list_quarantined_ids(quarantine, kind)
        return pl.concat([rows["sourced_id"].alias(column), quarantined.alias(column)]).unique().to_frame()

    return enrollments.join(list_possible(Kind.CLASS, classes, "class"), on="class", how="semi").join(
        list_possible(Kind.USER, users, "user"), on="user", how="semi"
    )


def _list_quarantined_ids(quarantine: pl.DataFrame, kind: Kind) -> pl.Series:
    """Return the sourcedIds of quarantined rows, maybe with repetitions."""
    return quarantine.filter((pl.col("kind") == kind.value) & pl.col("key").is_not_null())["key"]


def _has_quarantined(quarantine: pl.DataFrame, kind: Kind) -> bool:
    return quarantine.filter(pl.col("kind") == kind.value).height > 0


def _report_foreign_file(snapshot: Snapshot, client_partner_id: str) -> Diagnostic:
    listed = snapshot.orgs.sort("type", "sourced_id").head(10)
    names = ", ".join(
        f"{sourced_id} ({type_ or 'org'})" for sourced_id, type_ in listed.select("sourced_id", "type").iter_rows()
    )
    more = snapshot.orgs.height - listed.height
    rest = f" and {more:,} more" if more > 0 else ""
    return build_error(
        "not-this-customer",
        f"no row belongs to org {client_partner_id}; the file contains {names or 'no org'}{rest}",
        Span(snapshot.name),
        "Check that this file is this customer's and that client_partner_id is the sourcedId of its org.",
    )


def _report_nobody(snapshot: Snapshot, client_partner_id: str) -> Diagnostic:
    return build_error(
        "not-this-customer",
        f"org {client_partner_id} is in the file, but nobody in users.csv belongs to it or to an org below it",
        Span(snapshot.name),
        "Check that the export includes this customer's people and that orgs.csv has the parent of each of their orgs.",
    )


def _warn_clashing_usernames(clashing: pl.DataFrame) -> tuple[Diagnostic, ...]:
    if not clashing.height:
        return ()
    line = int(clashing["line"].min() or 0)  # type: ignore[arg-type]
    return (
        build_warning(
            DUPLICATE_USERNAME,
            f"{clashing.height:,} rows share a username with another row; all of them are quarantined",
            Span("users.csv", line),
            "Give each person a username of their own; upper and lower case do not make a difference. Rows of one "
            "person belong under rostering.merges.",
        ),
    )


#: the column of each kind that names an org by its sourcedId
_ORG_COLUMNS = {Kind.ORG: "parent", Kind.CLASS: "school"}


def drop_lost_orgs(desired: DesiredRoster, live_orgs: pl.DataFrame) -> DesiredRoster:
    """Drop references to orgs that are neither desired nor active; the rows stay desired without them.

    `live_orgs` has `sourced_id` and `tombstoned`.
    """
    active = live_orgs.filter(~pl.col("tombstoned"))["sourced_id"]
    known = pl.concat([desired.frames[Kind.ORG]["sourced_id"], active]).unique()
    frames = dict(desired.frames)
    for kind, column in _ORG_COLUMNS.items():
        named = frames[kind][column].drop_nulls().unique()
        lost = named.filter(~named.is_in(known.implode()))
        if lost.len():
            kept = pl.when(~pl.col(column).is_in(lost.implode()).fill_null(False)).then(pl.col(column))
            frames[kind] = frames[kind].with_columns(kept.alias(column)).with_columns(compute_fingerprint(kind))
    combinations = frames[Kind.USER].select("roles").unique().drop_nulls()
    # Many people share few combinations of roles, so each combination is split only once.
    entries = combinations.with_columns(pl.col("roles").str.split(ROLE_SEPARATOR).alias("entry")).explode("entry")
    lost_entries = entries.filter(~pl.col("entry").str.extract(r"^(.*)=", 1).is_in(known.implode()))
    if lost_entries.height:
        frames[Kind.USER] = _drop_role_entries(frames[Kind.USER], entries, lost_entries)
    return replace(desired, frames=frames)


def _drop_role_entries(users: pl.DataFrame, entries: pl.DataFrame, lost: pl.DataFrame) -> pl.DataFrame:
    remaining = (
        entries.join(lost, on=["roles", "entry"], how="anti", maintain_order="left")
        .group_by("roles", maintain_order=True)
        .agg(pl.col("entry").str.join(ROLE_SEPARATOR).alias("remaining"))
    )
    changed = lost.select("roles").unique().join(remaining, on="roles", how="left")
    return (
        users.join(changed.with_columns(pl.lit(True).alias("changed")), on="roles", how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("changed").is_null()).then(pl.col("roles")).otherwise("remaining").alias("roles"))
        .drop("remaining", "changed")
        .with_columns(compute_fingerprint(Kind.USER))
        .select(users.columns)
    )
