"""What would take a run back: every row that it touched becomes what it was, as long as nobody touched it since.

Rows that the run made are deleted, rows that it deleted come back, all others get the values that they had. What a
later run or another hand changed is left alone and listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import ActionCounts
from reconciler.model.roster import ALIAS_SEPARATOR
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.undo.rows import SpareReason, add_actions, add_live_state, is_ending, shape_changes

# Who of those that come back as they were would take what somebody else has by now: a sourcedId, or a username.


def split_taken_people(rows: pl.DataFrame, users: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """rows: people with `id`, `action`, `key` and fields as they are to be. users: all accounts as they are now.

    Returns the rows that may go on, and those that may not. Who may not keeps what they have, so it is asked until
    nobody clashes. A further sourcedId that is somebody else's is only left out.
    """
    going, taken = rows, [rows.clear()]
    while True:
        going = _drop_others_aliases(going, users)
        clashing = pl.concat([_find_clashes(going, users, "key"), _find_clashes(going, users, "username")]).unique()
        if not clashing.len():
            return going, pl.concat(taken)
        lost = pl.col("id").is_in(clashing.implode())
        taken.append(going.filter(lost))
        going = going.filter(~lost)


def _find_clashes(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.Series:
    """Ids of rows that take what another account has afterwards and they do not have now."""
    claims = pl.concat([_list_claims_of_rows(rows, what), _list_claims_of_others(rows, users, what)])
    twice = claims.filter(pl.col("claim").is_duplicated())["claim"].unique()
    now = _list_claims_of_others(rows.clear(), users, what)
    taking = _list_claims_of_rows(rows.filter(~is_ending()), what).filter(pl.col("claim").is_in(twice.implode()))
    return taking.join(now, on=["id", "claim"], how="anti")["id"]


def _list_claims_of_rows(rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """A deleted account keeps its sourcedId, not its username; one that is unbound keeps none."""
    if what == "username":
        mine = rows.filter(~is_ending()).select("id", pl.col("username").str.to_lowercase().alias("claim"))
    else:
        mine = rows.filter(is_ending() | pl.col("bound")).select("id", pl.col("key").alias("claim"))
    return mine.drop_nulls("claim")


def _list_claims_of_others(rows: pl.DataFrame, users: pl.DataFrame, what: str) -> pl.DataFrame:
    others = users.join(rows.select("id"), on="id", how="anti")
    if what == "username":
        alive = others.filter(~pl.col("tombstoned"))
        return alive.select("id", pl.col("username").str.to_lowercase().alias("claim")).drop_nulls("claim")
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
    kept = free.sort("id", "claim").group_by("id").agg(pl.col("claim").str.join(ALIAS_SEPARATOR).alias("kept"))
    return (
        rows.join(kept, on="id", how="left", maintain_order="left")
        .with_columns(pl.when(is_ending()).then("aliases").otherwise("kept").alias("aliases"))
        .drop("kept")
    )


# Accounts that a run put together, or took apart: an undo does it to both or to neither.


def find_merge_halves(touched: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """`id` of every account that went into another in the run, or came back out of it, and `other`, that one's id.
    touched: people, `store.before_images.TOUCHED_COLUMNS`. users: all accounts as they are now."""
    none = pl.DataFrame(schema={"id": pl.Int64, "other": pl.Int64})
    images = touched.select("id", pl.col("was").struct.unnest())
    if "merged_into" not in images.columns or "merged_into" not in users.columns:
        return none
    both = images.select("id", pl.col("merged_into").alias("was")).join(
        users.select("id", pl.col("merged_into").alias("now")), on="id", how="inner", maintain_order="left"
    )
    turned = both.filter(pl.col("was").is_null() != pl.col("now").is_null())
    return turned.select("id", pl.coalesce("now", "was").alias("other"))


def is_torn_apart(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """People among `rows` whose other half is not: with several accounts in one, whoever is tied to them."""
    lost = halves["id"].clear()
    while True:
        there = rows.filter(~pl.col("id").is_in(lost.implode()))["id"]
        alone = halves.filter(pl.col("id").is_in(there.implode()) != pl.col("other").is_in(there.implode()))
        if not alone.height:
            return pl.col("id").is_in(lost.implode())
        lost = pl.concat([lost, alone["id"], alone["other"].alias("id")])


def is_between_halves(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """Enrollments that would change hands between two accounts of which `rows` has none."""
    left = halves.filter(~pl.col("id").is_in(rows["id"].implode()))
    ids = pl.concat([left["id"], left["other"].alias("id")]).implode()
    return (
        (pl.col("account_id") != pl.col("was_user_id"))
        & pl.col("account_id").is_in(ids)
        & pl.col("was_user_id").is_in(ids)
    )


def add_other_half(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.DataFrame:
    """`rows` with `into`: the sourcedId of the account that each goes into or comes out of."""
    names = halves.join(rows.select(pl.col("id").alias("other"), pl.col("key").alias("into")), on="other", how="inner")
    return rows.join(names.select("id", "into"), on="id", how="left", maintain_order="left")


#: file, line: where the row comes from, null where that is not known
SPARED_SCHEMA = pl.Schema(
    {"kind": pl.String, "key": pl.String, "why": pl.String, "run": pl.Int64, "file": pl.String, "line": pl.Int64}
)


@dataclass(frozen=True, slots=True)
class UndoResult:
    """changes: change frames by kind, in the order of reports, unheld; only kinds that change. spared: rows left alone
    (SPARED), by kind and key; run: the later one that touched it, null for another hand or where none did. known: of
    how many rows, by kind, it is known what they were."""

    changes: Mapping[Kind, pl.DataFrame]
    spared_rows: pl.DataFrame
    known_counts: Mapping[Kind, int]

    def list_ending_ids(self, kind: Kind) -> pl.Series:
        """Ids of what is not live any more afterwards."""
        if kind not in self.changes:
            return pl.Series("live_id", [], dtype=pl.Int64)
        return self.changes[kind].filter(is_ending())["live_id"]


@dataclass(frozen=True, slots=True)
class EnrollmentUses:
    """How many live enrollments accounts and classes have: `id`, `enrollments`."""

    people: pl.DataFrame
    classes: pl.DataFrame


@dataclass(slots=True)
class _UndoRows:
    """Rows that a run touched, while it is worked out which of them are reversed and which are left alone."""

    touched: Mapping[Kind, pl.DataFrame]
    live: LiveRoster
    known_counts: dict[Kind, int] = field(default_factory=dict)
    spared: list[pl.DataFrame] = field(default_factory=list)

    def decide(self, kind: Kind, references: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """Return the kind's rows with the action that reverses each. references: `id`, `sourced_id` by field."""
        state = add_live_state(kind, self.touched[kind], self.live.get_frame(kind), references)
        rows = add_actions(kind, state)
        self.known_counts[kind] = rows.height
        self.spared.append(_build_spared_rows(kind, rows.filter(pl.col("why").is_not_null())))
        return rows.filter(pl.col("why").is_null() & pl.col("action").is_not_null())

    def spare(self, kind: Kind, rows: pl.DataFrame, condition: pl.Expr, why: SpareReason) -> pl.DataFrame:
        """Return `rows` without those that are left alone for this reason."""
        left = condition.fill_null(False)
        self.spare_all(kind, rows.filter(left), why)
        return rows.filter(~left)

    def spare_all(self, kind: Kind, rows: pl.DataFrame, why: SpareReason) -> None:
        """Leave all of these rows alone."""
        self.spared.append(_build_spared_rows(kind, rows.with_columns(pl.lit(why.value).alias("why"))))


def undo_roster(
    touched: Mapping[Kind, pl.DataFrame], live: LiveRoster, erased: pl.Series, uses: EnrollmentUses
) -> UndoResult:
    """Return the changes that reverse a run, and the rows that are left alone.

    touched: by kind, `store.before_images.TOUCHED_COLUMNS`. live: users with `roles`; enrollments: those touched,
    with `account_id` and `class_id`. erased: sourcedIds of people who must not come back. uses: of what the run made.
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
    """Return people without those who were erased, whose ID or username is taken, or whose other half stays."""
    users = work.decide(Kind.USER, {})
    erased_people = ~is_ending() & pl.col("key").is_in(erased.implode())
    users = work.spare(Kind.USER, users, erased_people, SpareReason.ERASED)
    users, taken = split_taken_people(users, work.live.users)
    work.spare_all(Kind.USER, taken, SpareReason.TAKEN_SINCE)
    return work.spare(Kind.USER, users, is_torn_apart(users, halves), SpareReason.OTHER_HALF)


def _undo_classes(work: _UndoRows, orgs: pl.DataFrame) -> pl.DataFrame:
    """Return classes without those that would come back to a school that is gone."""
    classes = work.decide(Kind.CLASS, {"school": _select_names(work.live.orgs)})
    there = _list_live_after_undo(orgs, work.live.orgs)["sourced_id"]
    lost = ~is_ending() & pl.col("school").is_not_null() & ~pl.col("school").is_in(there.implode())
    return work.spare(Kind.CLASS, classes, lost, SpareReason.REFERENCE_GONE)


def _undo_enrollments(work: _UndoRows, users: pl.DataFrame, classes: pl.DataFrame) -> pl.DataFrame:
    """Return enrollments without those that would come back to a person or class that is gone."""
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
    return work.spare(Kind.ENROLLMENT, enrollments, ~is_ending() & ~has_both, SpareReason.REFERENCE_GONE)


_KIND_ORDER = {kind.value: place for place, kind in enumerate(Kind)}


def _select_names(live: pl.DataFrame) -> pl.DataFrame:
    return live.select("id", "sourced_id")


def _list_live_after_undo(rows: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """`id`, `sourced_id` of what is live once `rows` are carried out."""
    arriving = rows.filter(~is_ending()).select("id", pl.col("key").alias("sourced_id"))
    staying = live.filter(~pl.col("tombstoned")).select("id", "sourced_id").join(rows.select("id"), on="id", how="anti")
    return pl.concat([staying, arriving]).drop_nulls("sourced_id")


def _is_still_used(uses: pl.DataFrame, enrollments: pl.DataFrame, column: str) -> pl.Expr:
    """Rows to be deleted to which enrollments belong that are not this run's: later ones, which are left alone."""
    reference = {"account_id": "was_user_id", "class_id": "was_class_id"}[column]
    going = enrollments.filter(is_ending() | pl.col(reference).ne_missing(pl.col(column)))
    freed = (
        going.filter(~(pl.col("action") == Action.RESTORE.value))
        .group_by(pl.col(column).alias("id"))
        .agg(pl.len().cast(pl.Int64).alias("freed"))
    )
    left = uses.join(freed, on="id", how="left").filter(pl.col("enrollments") > pl.col("freed").fill_null(0))
    return is_ending() & pl.col("id").is_in(left["id"].implode())


def _build_spared_rows(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        pl.lit(kind.value).alias("kind"),
        pl.coalesce("key", "now_key", "was_key").alias("key"),
        "why",
        pl.col("later").alias("run"),
        pl.col("now_file").alias("file"),
        pl.col("now_line").alias("line"),
    ).cast(SPARED_SCHEMA)


def count_changes(changes: Mapping[Kind, pl.DataFrame], live: LiveRoster) -> dict[Kind, ActionCounts]:
    """By kind, where anything is live or changes. unchanged: live rows that stay as they are."""
    found = {}
    for kind in ROSTER_KINDS:
        frame = changes.get(kind)
        by_action = dict(frame.group_by("action").len().iter_rows()) if frame is not None else {}
        actions = {action: by_action[action.value] for action in Action if action.value in by_action}
        alive = live.enrollments_total
        if kind is not Kind.ENROLLMENT:
            alive = live.get_frame(kind).filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null()).height
        touched = sum(number for action, number in actions.items() if action not in (Action.RESTORE, Action.ADOPT))
        held = int(frame["held"].sum()) if frame is not None else 0
        found[kind] = ActionCounts(actions, unchanged=alive - touched, held=held)
    return found
