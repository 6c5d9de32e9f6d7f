"""Computes the changes that undo a run: every row that it touched gets its former values unless it changed since.

Rows that the run created are deleted, rows that it deleted are restored, all others get the values that they had. Rows
that changed since, by a later run or outside reconciler, are skipped and listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.roster import ALIAS_SEPARATOR
from reconciler.model.text_form import make_caseless_column
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.undo.rows import SpareReason, add_actions, add_live_state, is_ending, shape_changes


def split_taken_people(rows: pl.DataFrame, users: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split people into those who can be undone and those whose sourcedId or username another account has by now.

    `rows` has `id`, `action`, `key` and the fields after the undo; `users` are all accounts now. Who cannot be undone
    keeps the present values, so the split repeats until nobody clashes. An alias that another account has is dropped.
    """
    free, taken = rows, [rows.clear()]
    while True:
        free = _drop_others_aliases(free, users)
        clashing = pl.concat([_find_clashes(free, users, "key"), _find_clashes(free, users, "username")]).unique()
        if not clashing.len():
            return free, pl.concat(taken)
        clashes = pl.col("id").is_in(clashing.implode())
        taken.append(free.filter(clashes))
        free = free.filter(~clashes)


def _find_clashes(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.Series:
    """Return ids of rows that take a value which they do not have now and another account has afterwards."""
    claims = pl.concat([_list_claims_of_rows(rows, what), _list_claims_of_others(rows, users, what)])
    repeated = claims.filter(pl.col("claim").is_duplicated())["claim"].unique()
    now = _list_claims_of_others(rows.clear(), users, what)
    taking = _list_claims_of_rows(rows.filter(~is_ending()), what).filter(pl.col("claim").is_in(repeated.implode()))
    return taking.join(now, on=["id", "claim"], how="anti")["id"]


def _list_claims_of_rows(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """List values after the undo: a deleted account keeps only its sourcedId, an unbound one only its username."""
    if what == "username":
        staying = rows.filter(~is_ending())
        mine = staying.select("id", make_caseless_column(staying["username"]).alias("claim"))
    else:
        mine = rows.filter(is_ending() | pl.col("bound")).select("id", pl.col("key").alias("claim"))
    return mine.drop_nulls("claim")


def _list_claims_of_others(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.DataFrame:
    others = users.join(rows.select("id"), on="id", how="anti")
    if what == "username":
        alive = others.filter(~pl.col("tombstoned"))
        return alive.select("id", make_caseless_column(alive["username"]).alias("claim")).drop_nulls("claim")
    main = others.select("id", pl.col("sourced_id").alias("claim")).drop_nulls("claim")
    return pl.concat([main, _list_aliases(others)])


def _list_aliases(accounts: pl.DataFrame) -> pl.DataFrame:
    if "aliases" not in accounts.columns:
        return pl.DataFrame(schema={"id": pl.Int64, "claim": pl.String})
    return (
        accounts.select("id", pl.col("aliases").str.split(ALIAS_SEPARATOR).alias("claim"))
        .explode("claim")
        .drop_nulls("claim")
    )


def _drop_others_aliases(rows: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    if "aliases" not in rows.columns:
        return rows
    wanted = _list_aliases(rows.filter(~is_ending()))
    if not wanted.height:
        return rows
    claims = pl.concat([_list_claims_of_rows(rows, "key"), _list_claims_of_others(rows, users, "key")])
    free = wanted.join(claims.select("claim"), on="claim", how="anti")
    own = free.sort("id", "claim").group_by("id").agg(pl.col("claim").str.join(ALIAS_SEPARATOR).alias("own"))
    return (
        rows.join(own, on="id", how="left", maintain_order="left")
        .with_columns(pl.when(is_ending()).then("aliases").otherwise("own").alias("aliases"))
        .drop("own")
    )


def find_merge_halves(touched: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """Return `id` of every account that the run merged into another or split from it, and `other`, the other's id.

    An undo reverses both halves or neither. `touched` are people with the store's TOUCHED_COLUMNS; `users` are all
    accounts now.
    """
    none = pl.DataFrame(schema={"id": pl.Int64, "other": pl.Int64})
    images = touched.select("id", pl.col("was").struct.unnest())
    if "merged_into" not in images.columns or "merged_into" not in users.columns:
        return none
    both = images.select("id", pl.col("merged_into").alias("was")).join(
        users.select("id", pl.col("merged_into").alias("now")), on="id", how="inner", maintain_order="left"
    )
    changed = both.filter(pl.col("was").is_null() != pl.col("now").is_null())
    return changed.select("id", pl.coalesce("now", "was").alias("other"))


def is_torn_apart(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """Select people whose other half is not in `rows`, and all accounts that are merged with them."""
    torn = halves["id"].clear()
    while True:
        remaining = rows.filter(~pl.col("id").is_in(torn.implode()))["id"]
        alone = halves.filter(pl.col("id").is_in(remaining.implode()) != pl.col("other").is_in(remaining.implode()))
        if not alone.height:
            return pl.col("id").is_in(torn.implode())
        torn = pl.concat([torn, alone["id"], alone["other"].alias("id")])


def is_between_halves(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """Select enrollments that would move between two merged accounts of which `rows` has neither."""
    absent = halves.filter(~pl.col("id").is_in(rows["id"].implode()))
    ids = pl.concat([absent["id"], absent["other"].alias("id")]).implode()
    return (
        (pl.col("account_id") != pl.col("was_user_id"))
        & pl.col("account_id").is_in(ids)
        & pl.col("was_user_id").is_in(ids)
    )


def add_other_half(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.DataFrame:
    """Add `into`: the sourcedId of the account that each one is merged into or split from."""
    names = halves.join(rows.select(pl.col("id").alias("other"), pl.col("key").alias("into")), on="other", how="inner")
    return rows.join(names.select("id", "into"), on="id", how="left", maintain_order="left")


#: Skipped rows: `run` is the later run that changed the row, null for a change outside reconciler or none; `file` and
#: `line` are the origin of the row, null if unknown.
SPARED_SCHEMA = pl.Schema(
    {"kind": pl.String, "key": pl.String, "why": pl.String, "run": pl.Int64, "file": pl.String, "line": pl.Int64}
)


@dataclass(frozen=True, slots=True)
class UndoResult:
    """The changes that reverse a run, and the rows that it skips."""

    #: change frames by kind, in the order of reports, none held; only kinds that change
    changes: Mapping[Kind, pl.DataFrame]
    #: rows of SPARED_SCHEMA by kind and key
    spared_rows: pl.DataFrame
    #: by kind, the number of rows whose values before the run are known
    known_counts: Mapping[Kind, int]

    def list_ending_ids(self, kind: Kind) -> pl.Series:
        """Return ids of rows that are no longer active afterwards."""
        if kind not in self.changes:
            return pl.Series("live_id", [], dtype=pl.Int64)
        return self.changes[kind].filter(is_ending())["live_id"]


@dataclass(frozen=True, slots=True)
class EnrollmentUses:
    """The number of active enrollments of accounts and classes: `id`, `enrollments`."""

    people: pl.DataFrame
    classes: pl.DataFrame


@dataclass(slots=True)
class _UndoRows:
    """The rows that a run touched, while they are split into rows to reverse and rows to skip."""

    touched: Mapping[Kind, pl.DataFrame]
    live: LiveRoster
    known_counts: dict[Kind, int] = field(default_factory=dict)
    spared: list[pl.DataFrame] = field(default_factory=list)

    def decide(self, kind: Kind, references: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return the kind's rows with the action that reverses each. `references` has `id`, `sourced_id` by field."""
        state = add_live_state(kind, self.touched[kind], self.live.get_frame(kind), references)
        rows = add_actions(kind, state)
        self.known_counts[kind] = rows.height
        self.spared.append(_build_spared_rows(kind, rows.filter(pl.col("why").is_not_null())))
        return rows.filter(pl.col("why").is_null() & pl.col("action").is_not_null())

    def spare(self, kind: Kind, rows: pl.DataFrame, condition: pl.Expr, why: SpareReason) -> pl.DataFrame:
        """Skip the rows that meet a condition and return the others."""
        skipped = condition.fill_null(False)
        self.spare_all(kind, rows.filter(skipped), why)
        return rows.filter(~skipped)

    def spare_all(self, kind: Kind, rows: pl.DataFrame, why: SpareReason) -> None:
        """Skip all of these rows."""
        self.spared.append(_build_spared_rows(kind, rows.with_columns(pl.lit(why.value).alias("why"))))


def undo_roster(
    touched: Mapping[Kind, pl.DataFrame], live: LiveRoster, erased: pl.Series, uses: EnrollmentUses
) -> UndoResult:
    """Return the changes that reverse a run, and the rows that are skipped.

    `touched` has the store's TOUCHED_COLUMNS by kind. `live` has users with `roles`, and the touched enrollments with
    `account_id` and `class_id`. `erased` are sourcedIds of people who must not return. `uses` counts the enrollments of
    accounts and classes that the run created.
    """
    work = _UndoRows(touched, live)
    halves = find_merge_halves(touched[Kind.USER], live.users)
    orgs = work.decide(Kind.ORG, {"parent": _select_names(live.orgs)})
    users = _undo_people(work, erased, halves)
    classes = _undo_classes(work, orgs)
    enrollments = _undo_enrollments(work, users, classes)
    still_used = _is_still_used(uses.people, enrollments, "account_id")
    users = work.spare(Kind.USER, users, still_used, SpareReason.STILL_USED)
    users = work.spare(Kind.USER, users, is_torn_apart(users, halves), SpareReason.OTHER_HALF)
    enrollments = work.spare(Kind.ENROLLMENT, enrollments, is_between_halves(users, halves), SpareReason.OTHER_HALF)
    users = add_other_half(users, halves)
    still_used = _is_still_used(uses.classes, enrollments, "class_id")
    classes = work.spare(Kind.CLASS, classes, still_used, SpareReason.STILL_USED)
    frames = {Kind.ORG: orgs, Kind.USER: users, Kind.CLASS: classes, Kind.ENROLLMENT: enrollments}
    return UndoResult(
        {kind: shape_changes(kind, rows) for kind, rows in frames.items() if rows.height},
        pl.concat(work.spared).sort(pl.col("kind").replace_strict(_KIND_ORDER, return_dtype=pl.Int8), "key"),
        work.known_counts,
    )


def _undo_people(work: _UndoRows, erased: pl.Series, halves: pl.DataFrame) -> pl.DataFrame:
    """Return the people to reverse: none who was erased, whose ID or username is taken, or whose other half stays."""
    users = work.decide(Kind.USER, {})
    erased_people = ~is_ending() & pl.col("key").is_in(erased.implode())
    users = work.spare(Kind.USER, users, erased_people, SpareReason.ERASED)
    users, taken = split_taken_people(users, work.live.users)
    work.spare_all(Kind.USER, taken, SpareReason.TAKEN_SINCE)
    return work.spare(Kind.USER, users, is_torn_apart(users, halves), SpareReason.OTHER_HALF)


def _undo_classes(work: _UndoRows, orgs: pl.DataFrame) -> pl.DataFrame:
    """Return the classes to reverse: none that would return to a deleted school."""
    classes = work.decide(Kind.CLASS, {"school": _select_names(work.live.orgs)})
    schools = _list_live_after_undo(orgs, work.live.orgs)["sourced_id"]
    lacks_school = ~is_ending() & pl.col("school").is_not_null() & ~pl.col("school").is_in(schools.implode())
    return work.spare(Kind.CLASS, classes, lacks_school, SpareReason.REFERENCE_GONE)


def _undo_enrollments(work: _UndoRows, users: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """Return the enrollments to reverse: none that would return to a deleted person or class, or to where a later one
    is."""
    live = work.live
    people = _list_live_after_undo(users, live.users).join(
        users.filter(~is_ending() & ~pl.col("bound")), on="id", how="anti"
    )
    names = pl.concat([people, _select_names(live.users).join(people, on="id", how="anti")])
    enrollments = work.decide(Kind.ENROLLMENT, {"class": _select_names(live.classes), "user": names})
    rooms = _list_live_after_undo(classes, live.classes)
    has_both = pl.col("user").is_in(people["sourced_id"].implode()).fill_null(False) & pl.col("class").is_in(
        rooms["sourced_id"].implode()
    ).fill_null(False)
    enrollments = work.spare(Kind.ENROLLMENT, enrollments, ~is_ending() & ~has_both, SpareReason.REFERENCE_GONE)
    return work.spare(Kind.ENROLLMENT, enrollments, _is_place_taken(enrollments, live), SpareReason.TAKEN_SINCE)


def _is_place_taken(enrollments: pl.DataFrame, live: LiveRoster) -> pl.Expr:
    """Select enrollments whose class, person and role before the run another one has now, which this undo leaves."""
    staying = live.enrollments.filter(~pl.col("tombstoned")).join(enrollments, on="id", how="anti")
    place = ["was_class_id", "was_user_id", "role"]
    taken = enrollments.join(staying, left_on=place, right_on=["class_id", "account_id", "role"], how="semi")
    return ~is_ending() & pl.col("id").is_in(taken["id"].implode())


_KIND_ORDER = {kind.value: place for place, kind in enumerate(Kind)}


def _select_names(live: pl.DataFrame) -> pl.DataFrame:
    return live.select("id", "sourced_id")


def _list_live_after_undo(rows: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Return `id`, `sourced_id` of the rows that are active after the undo."""
    arriving = rows.filter(~is_ending()).select("id", pl.col("key").alias("sourced_id"))
    staying = live.filter(~pl.col("tombstoned")).select("id", "sourced_id").join(rows.select("id"), on="id", how="anti")
    return pl.concat([staying, arriving]).drop_nulls("sourced_id")


def _is_still_used(uses: pl.DataFrame, enrollments: pl.DataFrame, column: str) -> pl.Expr:
    """Select rows to be deleted that still have enrollments which this undo does not remove: later ones."""
    reference = {"account_id": "was_user_id", "class_id": "was_class_id"}[column]
    leaving = enrollments.filter(is_ending() | pl.col(reference).ne_missing(pl.col(column)))
    freed = (
        leaving.filter(~(pl.col("action") == Action.RESTORE.value))
        .group_by(pl.col(column).alias("id"))
        .agg(pl.len().cast(pl.Int64).alias("freed"))
    )
    used = uses.join(freed, on="id", how="left").filter(pl.col("enrollments") > pl.col("freed").fill_null(0))
    return is_ending() & pl.col("id").is_in(used["id"].implode())


def _build_spared_rows(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.lit(kind.value).alias("kind"),
        pl.coalesce("key", "now_key", "was_key").alias("key"),
        "why",
        pl.col("later").alias("run"),
        pl.col("now_file").alias("file"),
        pl.col("now_line").alias("line"),
    ).cast(SPARED_SCHEMA)
