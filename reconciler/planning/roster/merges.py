"""Two accounts that people say are one person's: what each entry of `merges` means for this store and this roster.

Pure, and careful: an entry that does not name two people of the roster, one of whom stays, does nothing and says why.
What an entry means is settled before rows are compared, since from then on both sourcedIds are one person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import AccountManager
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.frames.change_frame import build_change_schema
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.frames.live import LiveRoster, add_roles, select_countable_people
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import list_known_aliases
from reconciler.planning.roster.roster_diff import build_removals

#: Accounts to be put together: their ids, the sourcedIds that they are known by, and where people say so.
PAIR_SCHEMA: dict[str, type[pl.DataType]] = {
    "merge_id": pl.Int64,
    "merge_key": pl.String,
    "keep_id": pl.Int64,
    "keep_key": pl.String,
    "file": pl.String,
    "line": pl.Int64,
}
ALIAS_SCHEMA: dict[str, type[pl.DataType]] = {"alias": pl.String, "canonical": pl.String}


@dataclass(frozen=True, slots=True)
class MergeEntry:
    """One entry of `merges`: two sourcedIds, and where it is written."""

    keep: str
    merge: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """pairs: PAIRS. aliases: every sourcedId (`alias`) that is from now on one of the person known by `canonical`."""

    pairs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAIR_SCHEMA))
    aliases: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ALIAS_SCHEMA))
    diagnostics: tuple[Diagnostic, ...] = ()

    def exclude_merged(self, users: pl.DataFrame) -> pl.DataFrame:
        """Accounts without those that go into another: nothing of a roster is compared with them any more."""
        return users.join(self.pairs, left_on="id", right_on="merge_id", how="anti") if self.pairs.height else users

    def restrict_to_desired(self, desired: DesiredRoster) -> MergePlan:
        """Without the pairs of whom the roster, as it is to be, wants nobody: each account then follows its own row."""
        if not self.pairs.height:
            return self
        wanted = pl.col("keep_key").is_in(desired.frames[Kind.USER]["sourced_id"].implode())
        waiting = self.pairs.filter(~wanted)
        if not waiting.height:
            return self
        kept = self.pairs.filter(wanted)
        # Of a pair that waits, the accounts keep apart what is theirs; a row without an account is not of it.
        aliases = self.aliases.filter(~pl.col("canonical").is_in(waiting["keep_key"].implode()))
        found = [
            _build_warning(
                "merge-waits", Span(file or "", line), "nobody of the two is in this roster, or the row is set aside"
            )
            for file, line in waiting.select("file", "line").iter_rows()
        ]
        return replace(self, pairs=kept, aliases=aliases, diagnostics=(*self.diagnostics, *found))


#: verdict -> the code and the words that tell why nothing is merged
_VERDICT_WARNINGS = {
    "nobody-kept": ("merge-keeps-nobody", "`keep` has no live account and no row; nothing is merged"),
    "unknown": ("merge-unknown", "`merge` is neither an account's sourcedId nor in this roster; nothing is merged"),
    "deleted": ("merge-waits", "the account of `merge` is deleted; it is merged once it is back"),
    "aside": ("merge-waits", "a row of one of the two was set aside; nothing is merged until it is whole"),
    "chained": ("merge-waits", "one of the two accounts is part of another entry; that one goes first"),
    "protected": ("merge-refused", "`protect` names the account of `merge`; nothing is merged"),
    "administrator": ("merge-refused", "one of the two is an administrator's account; nothing is merged"),
    "unmanaged": ("merge-refused", "the roster does not manage one of the two accounts; nothing is merged"),
}
_WARNING_HINTS = {
    "merge-keeps-nobody": "name the sourcedId of the account that is to stay, or turn keep and merge round",
    "merge-unknown": "correct the sourcedId, or take the entry out",
    "merge-waits": "nothing has to be done, or take the entry out",
    "merge-refused": "a roster's people alone are merged: take the entry out, or what is in its way",
}


def settle_merges(
    entries: Iterable[MergeEntry], snapshot: Snapshot, live: LiveRoster, protect: frozenset[str]
) -> MergePlan:
    """live: of the customer, tombstones included, accounts that were merged before left out. protect: sourcedIds that
    a roster never deletes. Accounts that are one already need nothing."""
    asked = pl.DataFrame(
        [
            {"keep": each.keep, "merge": each.merge, "file": each.span.file if each.span else None}
            | {"line": each.span.line if each.span else 0, "column": each.span.column if each.span else 0}
            for each in entries
        ],
        schema={"keep": pl.String, "merge": pl.String, "file": pl.String, "line": pl.Int64, "column": pl.Int64},
    )
    if not asked.height:
        return MergePlan()
    users = add_roles(live.users, live.roles)
    owners = _find_owners(users, live.roles, protect, snapshot)
    wanted = snapshot.users.filter(pl.col("status") != "tobedeleted")["sourced_id"]
    rows = pl.DataFrame({"row": wanted}).unique().with_columns(pl.lit(True).alias("there"))
    aside = snapshot.quarantine.filter(pl.col("kind") == Kind.USER.value)["key"].drop_nulls()
    for half in ("keep", "merge"):
        asked = (
            asked.join(
                owners.select(pl.all().name.prefix(f"{half}_")),
                left_on=half,
                right_on=f"{half}_sourced_id",
                how="left",
                maintain_order="left",
            )
            .join(rows.rename({"row": half, "there": f"{half}_row"}), on=half, how="left", maintain_order="left")
            .with_columns(
                pl.col(f"{half}_row").fill_null(False),
                (pl.col(f"{half}_aside").fill_null(False) | pl.col(half).is_in(aside.implode())).alias(f"{half}_aside"),
                pl.coalesce(f"{half}_key", half).alias(f"{half}_key"),
            )
        )
    judged = asked.with_columns(_decide_verdict().alias("verdict")).pipe(_prevent_chains)
    pairs = judged.filter(pl.col("verdict") == "accounts").select(list(PAIR_SCHEMA))
    return MergePlan(pairs, _collect_aliases(judged, users), tuple(_collect_diagnostics(judged)))


def _find_owners(users: pl.DataFrame, roles: pl.DataFrame, protect: frozenset[str], snapshot: Snapshot) -> pl.DataFrame:
    """`sourced_id`, and of the account that has it, as its own or as a further one: `id`, `key` (its own sourcedId),
    `dead`, `managed`, `countable`, `protected`, and `aside`: a row of it was set aside."""
    bound = users.filter(pl.col("sourced_id").is_not_null())
    aliases = list_known_aliases(bound)
    names = pl.concat(
        [
            bound.select("sourced_id", pl.col("sourced_id").alias("key")),
            aliases.select(pl.col("alias").alias("sourced_id"), pl.col("canonical").alias("key")),
        ]
    )
    aside = snapshot.quarantine.filter(pl.col("kind") == Kind.USER.value)["key"].drop_nulls()
    of_person = names.group_by("key").agg(
        pl.col("sourced_id").is_in(sorted(protect)).any().alias("protected"),
        pl.col("sourced_id").is_in(aside.implode()).any().alias("aside"),
    )
    countable = select_countable_people(users, roles)["id"]
    facts = bound.select(
        pl.col("sourced_id").alias("key"),
        "id",
        pl.col("tombstoned").alias("dead"),
        (pl.col("managed_by") == AccountManager.ROSTER.value).alias("managed"),
        pl.col("id").is_in(countable.implode()).alias("countable"),
    )
    return (
        names.join(facts, on="key", how="inner")
        .join(of_person, on="key", how="left")
        .unique("sourced_id", keep="first", maintain_order=True)
    )


def _decide_verdict() -> pl.Expr:
    """`accounts` to be put together, `row` that is to get no account of its own, `done`, or a key of _TOLD."""
    keep_id, merge_id = pl.col("keep_id"), pl.col("merge_id")
    lives = keep_id.is_not_null() & ~pl.col("keep_dead").fill_null(False)
    nobody = keep_id.is_null() & ~pl.col("keep_row")
    known = [keep_id.is_not_null(), merge_id.is_not_null()]

    def of_either(column: str) -> pl.Expr:
        return pl.any_horizontal(
            [
                there & ~pl.col(f"{half}_{column}").fill_null(False)
                for there, half in zip(known, ("keep", "merge"), strict=True)
            ]
        )

    return (
        pl.when(keep_id == merge_id)
        .then(pl.lit("done"))
        .when(merge_id.is_null() & ~pl.col("merge_row") & ~pl.col("merge_aside"))
        .then(pl.lit("unknown"))
        .when(pl.col("merge_dead").fill_null(False))
        .then(pl.lit("deleted"))
        .when(pl.when(merge_id.is_null()).then(nobody & ~pl.col("keep_aside")).otherwise(~lives))
        .then(pl.lit("nobody-kept"))
        .when(of_either("managed"))
        .then(pl.lit("unmanaged"))
        .when(lives & of_either("countable"))
        .then(pl.lit("administrator"))
        .when(pl.col("merge_protected").fill_null(False))
        .then(pl.lit("protected"))
        .when(pl.col("keep_aside") | pl.col("merge_aside"))
        .then(pl.lit("aside"))
        .when(merge_id.is_null())
        .then(pl.lit("row"))
        .otherwise(pl.lit("accounts"))
    )


def _prevent_chains(judged: pl.DataFrame) -> pl.DataFrame:
    """An account goes into one other, and none that goes takes somebody in: by its sourcedIds together, which the files
    alone cannot show."""
    acting = pl.col("verdict").is_in(["accounts", "row"])
    going = judged.filter(acting)["merge_key"]
    again = acting & (pl.col("keep_key").is_in(going.implode()) | (acting & ~pl.col("merge_key").is_first_distinct()))
    return judged.with_columns(pl.when(again).then(pl.lit("chained")).otherwise("verdict").alias("verdict"))


def _collect_aliases(judged: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    acting = judged.filter(pl.col("verdict").is_in(["accounts", "row"])).select(
        pl.col("merge_key").alias("alias"), pl.col("keep_key").alias("canonical")
    )
    further = list_known_aliases(users).join(acting, left_on="canonical", right_on="alias", how="inner")
    return pl.concat([acting, further.select("alias", pl.col("canonical_right").alias("canonical"))]).unique(
        maintain_order=True
    )


def _collect_diagnostics(judged: pl.DataFrame) -> Iterable[Diagnostic]:
    for verdict, file, line, column in judged.select("verdict", "file", "line", "column").iter_rows():
        if verdict in _VERDICT_WARNINGS:
            code, message = _VERDICT_WARNINGS[verdict]
            yield _build_warning(code, Span(file or "", line, column), message)


def _build_warning(code: str, span: Span, message: str) -> Diagnostic:
    return build_warning(code, message, span, _WARNING_HINTS[code])


# The rows of a plan by which one account goes into another: who goes, who gets what they had, never one half of it.

RosterChanges = Mapping[Kind, pl.DataFrame]

_MERGED_REASON = pl.lit(Reason.MERGED.value)


def add_merge_changes(
    changes: RosterChanges, pairs: pl.DataFrame, users: pl.DataFrame, enrollments: pl.DataFrame
) -> RosterChanges:
    """`changes` with what a merge does besides. pairs: `merging.PAIRS`. users: live ones with `roles`. enrollments:
    those live ones that the comparison left open; all of the accounts that go are among them."""
    if not pairs.height:
        return changes
    people = changes[Kind.USER]
    renewed = (pl.col("action") == Action.UPDATE.value) & (pl.col("reason") == Reason.FIELD_CHANGED.value)
    staying = renewed & pl.col("key").is_in(pairs["keep_key"].implode())
    told = pl.when(staying).then(_MERGED_REASON).otherwise("reason").alias("reason")
    return {
        **changes,
        Kind.USER: pl.concat([_build_merged_removals(pairs, users), people.with_columns(told)]),
        Kind.ENROLLMENT: _move_enrollments(changes[Kind.ENROLLMENT], pairs, enrollments),
    }


def _build_merged_removals(pairs: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    gone = users.join(pairs, left_on="id", right_on="merge_id", how="inner", maintain_order="left")
    rows = build_removals(Kind.USER, gone.with_columns(_MERGED_REASON.alias("reason")))
    places = pairs.select(
        pl.col("merge_id").alias("live_id"),
        pl.col("keep_key").alias("goes_into"),
        pl.col("file").alias("asked_in"),
        pl.col("line").alias("asked_at"),
    )
    return (
        rows.join(places, on="live_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("goes_into").alias("into"),
            pl.coalesce("asked_in", "file").alias("file"),
            pl.col("asked_at").alias("line"),
        )
        .select(rows.columns)
    )


def _move_enrollments(changes: pl.DataFrame, pairs: pl.DataFrame, enrollments: pl.DataFrame) -> pl.DataFrame:
    """Enrollments that the file has under the other sourcedId are updates already; the others, which nothing in the
    file speaks of, go over as they are."""
    into = pairs.select(pl.col("merge_key").alias("before_user"), pl.col("keep_key").alias("keeper"))
    told = (
        changes.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(
            pl.when((pl.col("action") == Action.UPDATE.value) & (pl.col("user") == pl.col("keeper")).fill_null(False))
            .then(_MERGED_REASON)
            .otherwise("reason")
            .alias("reason")
        )
        .select(changes.columns)
    )
    left = enrollments.filter(~pl.col("tombstoned")).join(into, left_on="user", right_on="before_user", how="inner")
    left = left.join(changes.select(pl.col("live_id").alias("id")).drop_nulls(), on="id", how="anti")
    if not left.height:
        return told
    rows = build_removals(
        Kind.ENROLLMENT,
        left.with_columns(_MERGED_REASON.alias("reason"), pl.lit(0, dtype=pl.Int64).alias("line")),
        Action.UPDATE,
    )
    carried = (
        rows.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(pl.col("keeper").alias("user"), pl.col("key").alias("sourced_id"))
        .with_columns(compute_fingerprint(Kind.ENROLLMENT))
    )
    return pl.concat([told, carried.select(list(build_change_schema(Kind.ENROLLMENT)))])
