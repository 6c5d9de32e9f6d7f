"""Merges accounts that `merges` declares to be one person's.

An entry that does not name two people of the roster, one of whom stays, does nothing and warns why. Entries are settled
before rows are compared, because both sourcedIds are one person's from then on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import AccountManager
from reconciler.oneroster.snapshot import Snapshot, is_marked_deleted
from reconciler.planning.frames.change_frame import build_change_schema
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.frames.live import LiveRoster, add_roles, select_countable_people
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import list_known_aliases
from reconciler.planning.roster.roster_diff import build_removals

#: Pairs of accounts to merge: ids, sourcedIds, and the file and line of the entry.
PAIR_SCHEMA: dict[str, type[pl.DataType]] = {
    "merge_id": pl.Int64,
    "merge_key": pl.String,
    "keep_id": pl.Int64,
    "keep_key": pl.String,
    "file": pl.String,
    "line": pl.Int64,
}
#: Every sourcedId (`alias`) of a merged person, who is known by `canonical`.
ALIAS_SCHEMA: dict[str, type[pl.DataType]] = {"alias": pl.String, "canonical": pl.String}


@dataclass(frozen=True, slots=True)
class MergeEntry:
    """One entry of `merges`: two sourcedIds and their place in the file."""

    keep: str
    merge: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """The settled entries of `merges`."""

    pairs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAIR_SCHEMA))
    aliases: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ALIAS_SCHEMA))
    diagnostics: tuple[Diagnostic, ...] = ()

    def exclude_merged(self, users: pl.DataFrame) -> pl.DataFrame:
        """Return the accounts that are not merged into another one: only these are compared with the roster."""
        return users.join(self.pairs, left_on="id", right_on="merge_id", how="anti") if self.pairs.height else users

    def restrict_to_desired(self, desired: DesiredRoster) -> Self:
        """Return the plan without pairs of which the desired roster has nobody: each account then follows its own
        row. Return the same object if there are none."""
        if not self.pairs.height:
            return self
        wanted = pl.col("keep_key").is_in(desired.frames[Kind.USER]["sourced_id"].implode())
        waiting = self.pairs.filter(~wanted)
        if not waiting.height:
            return self
        aliases = self.aliases.filter(~pl.col("canonical").is_in(waiting["keep_key"].implode()))
        warnings = [
            _build_warning(
                "merge-waits",
                Span(file or "", line),
                "neither person is in this roster, or the row is quarantined; nothing is merged",
            )
            for file, line in waiting.select("file", "line").iter_rows()
        ]
        return replace(
            self, pairs=self.pairs.filter(wanted), aliases=aliases, diagnostics=(*self.diagnostics, *warnings)
        )


#: The code and message of each verdict that merges nothing.
_VERDICT_WARNINGS = {
    "nobody-kept": ("merge-keeps-nobody", "`keep` has no active account and no row; nothing is merged"),
    "unknown": ("merge-unknown", "`merge` is neither an account's sourcedId nor in this roster; nothing is merged"),
    "deleted": ("merge-waits", "the account of `merge` is deleted; it is merged when it is restored"),
    "quarantined": ("merge-waits", "a row of one of the two is quarantined; nothing is merged until it is corrected"),
    "chained": ("merge-waits", "one of the two accounts is part of another entry; that entry is applied first"),
    "protected": ("merge-refused", "`protect` lists the account of `merge`; nothing is merged"),
    "administrator": ("merge-refused", "one of the two is an administrator's account; nothing is merged"),
    "unmanaged": ("merge-refused", "the roster does not manage one of the two accounts; nothing is merged"),
}
_WARNING_HINTS = {
    "merge-keeps-nobody": "Set keep to the sourcedId of the account that stays, or swap keep and merge.",
    "merge-unknown": "Correct the sourcedId, or remove the entry.",
    "merge-waits": "Remove the entry if it is wrong; otherwise there is nothing to do.",
    "merge-refused": "Remove the entry or the obstacle: only people whom the roster manages are merged.",
}


def settle_merges(
    entries: Iterable[MergeEntry], snapshot: Snapshot, live: LiveRoster, protect: frozenset[str]
) -> MergePlan:
    """Return the pairs to merge and a warning for every entry that merges nothing; entries that are merged already need
    neither.

    `live` has the customer's rows, tombstones included, without accounts that were merged before. `protect` are the
    sourcedIds that a roster never deletes.
    """
    declared = pl.DataFrame(
        [
            {"keep": each.keep, "merge": each.merge, "file": each.span.file if each.span else None}
            | {"line": each.span.line if each.span else 0, "column": each.span.column if each.span else 0}
            for each in entries
        ],
        schema={"keep": pl.String, "merge": pl.String, "file": pl.String, "line": pl.Int64, "column": pl.Int64},
    )
    if not declared.height:
        return MergePlan()
    users = add_roles(live.users, live.roles)
    quarantined = snapshot.quarantine.filter(pl.col("kind") == Kind.USER.value)["key"].drop_nulls()
    owners = _find_owners(users, live.roles, protect, quarantined)
    wanted = snapshot.users.filter(~is_marked_deleted())["sourced_id"]
    rows = pl.DataFrame({"row": wanted}).unique().with_columns(pl.lit(True).alias("there"))
    for half in ("keep", "merge"):
        is_quarantined = pl.col(f"{half}_quarantined").fill_null(False) | pl.col(half).is_in(quarantined.implode())
        declared = (
            declared.join(
                owners.select(pl.all().name.prefix(f"{half}_")),
                left_on=half,
                right_on=f"{half}_sourced_id",
                how="left",
                maintain_order="left",
            )
            .join(rows.rename({"row": half, "there": f"{half}_row"}), on=half, how="left", maintain_order="left")
            .with_columns(
                pl.col(f"{half}_row").fill_null(False),
                is_quarantined.alias(f"{half}_quarantined"),
                pl.coalesce(f"{half}_key", half).alias(f"{half}_key"),
            )
        )
    judged = declared.with_columns(_decide_verdict().alias("verdict")).pipe(_prevent_chains)
    pairs = judged.filter(pl.col("verdict") == "accounts").select(list(PAIR_SCHEMA))
    return MergePlan(pairs, _collect_aliases(judged, users), tuple(_collect_diagnostics(judged)))


def _find_owners(
    users: pl.DataFrame, roles: pl.DataFrame, protect: frozenset[str], quarantined: pl.Series
) -> pl.DataFrame:
    """Return `sourced_id` with the facts of the account that has it, as its own or as an alias: `id`, `key` (its own
    sourcedId), `deleted`, `managed`, `countable`, `protected` and `quarantined` (one of its rows is)."""
    bound = users.filter(pl.col("sourced_id").is_not_null())
    aliases = list_known_aliases(bound)
    names = pl.concat(
        [
            bound.select("sourced_id", pl.col("sourced_id").alias("key")),
            aliases.select(pl.col("alias").alias("sourced_id"), pl.col("canonical").alias("key")),
        ]
    )
    of_person = names.group_by("key").agg(
        pl.col("sourced_id").is_in(sorted(protect)).any().alias("protected"),
        pl.col("sourced_id").is_in(quarantined.implode()).any().alias("quarantined"),
    )
    countable = select_countable_people(users, roles)["id"]
    facts = bound.select(
        pl.col("sourced_id").alias("key"),
        "id",
        pl.col("tombstoned").alias("deleted"),
        (pl.col("managed_by") == AccountManager.ROSTER.value).alias("managed"),
        pl.col("id").is_in(countable.implode()).alias("countable"),
    )
    return (
        names.join(facts, on="key", how="inner")
        .join(of_person, on="key", how="left")
        .unique("sourced_id", keep="first", maintain_order=True)
    )


def _decide_verdict() -> pl.Expr:
    """Return the verdict on each entry: `accounts` (merge them), `row` (it gets no account of its own), `done`, or a
    key of _VERDICT_WARNINGS."""
    keep_id, merge_id = pl.col("keep_id"), pl.col("merge_id")
    stays = keep_id.is_not_null() & ~pl.col("keep_deleted").fill_null(False)
    nobody = keep_id.is_null() & ~pl.col("keep_row")

    def is_any_not(column: str) -> pl.Expr:
        return pl.any_horizontal(
            [
                pl.col(f"{half}_id").is_not_null() & ~pl.col(f"{half}_{column}").fill_null(False)
                for half in ("keep", "merge")
            ]
        )

    return (
        pl.when(keep_id == merge_id)
        .then(pl.lit("done"))
        .when(merge_id.is_null() & ~pl.col("merge_row") & ~pl.col("merge_quarantined"))
        .then(pl.lit("unknown"))
        .when(pl.col("merge_deleted").fill_null(False))
        .then(pl.lit("deleted"))
        .when(pl.when(merge_id.is_null()).then(nobody & ~pl.col("keep_quarantined")).otherwise(~stays))
        .then(pl.lit("nobody-kept"))
        .when(is_any_not("managed"))
        .then(pl.lit("unmanaged"))
        .when(stays & is_any_not("countable"))
        .then(pl.lit("administrator"))
        .when(pl.col("merge_protected").fill_null(False))
        .then(pl.lit("protected"))
        .when(pl.col("keep_quarantined") | pl.col("merge_quarantined"))
        .then(pl.lit("quarantined"))
        .when(merge_id.is_null())
        .then(pl.lit("row"))
        .otherwise(pl.lit("accounts"))
    )


def _prevent_chains(judged: pl.DataFrame) -> pl.DataFrame:
    """Mark entries whose account is merged by another entry too. The files alone cannot show it: an account may have
    several sourcedIds."""
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


RosterChanges = Mapping[Kind, pl.DataFrame]

_MERGED_REASON = pl.lit(Reason.MERGED.value)


def add_merge_changes(
    changes: RosterChanges, pairs: pl.DataFrame, users: pl.DataFrame, enrollments: pl.DataFrame
) -> RosterChanges:
    """Add the removals of merged accounts and the moves of their enrollments.

    `pairs` has PAIR_SCHEMA; `users` are live ones with `roles`. `enrollments` are the live ones that the comparison
    left open; all those of merged accounts are among them.
    """
    if not pairs.height:
        return changes
    people = changes[Kind.USER]
    is_changed = (pl.col("action") == Action.UPDATE.value) & (pl.col("reason") == Reason.FIELD_CHANGED.value)
    stays = is_changed & pl.col("key").is_in(pairs["keep_key"].implode())
    reason = pl.when(stays).then(_MERGED_REASON).otherwise("reason").alias("reason")
    return {
        **changes,
        Kind.USER: pl.concat([_build_merged_removals(pairs, users), people.with_columns(reason)]),
        Kind.ENROLLMENT: _move_enrollments(changes[Kind.ENROLLMENT], pairs, enrollments),
    }


def _build_merged_removals(pairs: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    merged = users.join(pairs, left_on="id", right_on="merge_id", how="inner", maintain_order="left")
    rows = build_removals(Kind.USER, merged.with_columns(_MERGED_REASON.alias("reason")))
    entries = pairs.select(
        pl.col("merge_id").alias("live_id"),
        pl.col("keep_key").alias("entry_into"),
        pl.col("file").alias("entry_file"),
        pl.col("line").alias("entry_line"),
    )
    return (
        rows.join(entries, on="live_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("entry_into").alias("into"),
            pl.coalesce("entry_file", "file").alias("file"),
            pl.col("entry_line").alias("line"),
        )
        .select(rows.columns)
    )


def _move_enrollments(changes: pl.DataFrame, pairs: pl.DataFrame, enrollments: pl.DataFrame) -> pl.DataFrame:
    """Give all enrollments of a merged account to the one that stays: those that the file has under its sourcedId are
    updates already, the others move unchanged."""
    into = pairs.select(pl.col("merge_key").alias("before_user"), pl.col("keep_key").alias("keeper"))
    explained = (
        changes.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(
            pl.when((pl.col("action") == Action.UPDATE.value) & (pl.col("user") == pl.col("keeper")).fill_null(False))
            .then(_MERGED_REASON)
            .otherwise("reason")
            .alias("reason")
        )
        .select(changes.columns)
    )
    others = enrollments.filter(~pl.col("tombstoned")).join(into, left_on="user", right_on="before_user", how="inner")
    others = others.join(changes.select(pl.col("live_id").alias("id")).drop_nulls(), on="id", how="anti")
    if not others.height:
        return explained
    rows = build_removals(
        Kind.ENROLLMENT,
        others.with_columns(_MERGED_REASON.alias("reason"), pl.lit(0, dtype=pl.Int64).alias("line")),
        Action.UPDATE,
    )
    moved = (
        rows.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(pl.col("keeper").alias("user"), pl.col("key").alias("sourced_id"))
        .with_columns(compute_fingerprint(Kind.ENROLLMENT))
    )
    return pl.concat([explained, moved.select(list(build_change_schema(Kind.ENROLLMENT)))])
