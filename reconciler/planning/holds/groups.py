"""Holds the removal of everyone of a grade, a role or both, at one school or at all: an export probably left them out.

A group is held only if all its people leave and nobody comes or moves up into it, so that a promotion is no loss. A
pre-approval of people who leave releases their groups too, because a graduating class is one. The same is true of an
undo that takes a whole group back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import LimitUse
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.frames.live import select_countable_people
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.limits import PEOPLE_LOSS_LIMITS, match_counted_rows
from reconciler.planning.holds.state import HoldState

#: The properties that people of a group share, from the largest groups to the smallest. A school alone has its limit.
GROUPS = (
    ("role",),
    ("grade",),
    ("school", "role"),
    ("school", "grade"),
    ("role", "grade"),
    ("school", "role", "grade"),
)
#: The least people of a group.
FEWEST = 2
#: Groups that get a sentence each; the others are counted.
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class EmptiedGroups:
    """The people of groups that would lose everyone."""

    #: ids of their accounts
    ids: pl.Series
    #: one for each group that no larger one contains
    sentences: tuple[str, ...]


def hold_emptied_groups(state: HoldState) -> HoldState:
    """Hold the removals of groups that would lose everyone, unless a pre-approval releases them."""
    emptied = find_emptied_groups(state, state.changes[Kind.USER], state.limits)
    if not emptied.ids.len():
        return state
    more = len(emptied.sentences) - _MOST_SHOWN
    rest = [f"The same is true of {more:,} more {'group' if more == 1 else 'groups'}."] if more > 0 else []
    state = state.hold_where(Kind.USER, is_leaving(Kind.USER) & pl.col("live_id").is_in(emptied.ids.implode()))
    return state.add_causes(*emptied.sentences[:_MOST_SHOWN], *rest)


def find_emptied_groups(state: HoldState, users: pl.DataFrame, limits: Iterable[LimitUse]) -> EmptiedGroups:
    """Return the groups that `users` (changes with `limits`) would empty, without those of schools that a limit of
    `limits` holds as a whole."""
    leaving = users.filter(is_leaving(Kind.USER) & match_counted_rows(*PEOPLE_LOSS_LIMITS))
    held = leaving["live_id"].clear().alias("id")
    if leaving.height < FEWEST:
        return EmptiedGroups(held, ())
    gone = leaving.select(pl.col("live_id").alias("id"), pl.lit(True).alias("gone"))
    before = _list_members_before(state).join(gone, on="id", how="left")
    after = _list_members_after(state, users)
    explained = _list_people_of_emptied_schools(state, limits)
    sentences: list[str] = []
    for group in GROUPS:
        emptied = _find_emptied(before, after, group)
        members = before.join(emptied, on=list(group), how="semi")
        news = members.filter(~pl.col("id").is_in(explained.implode())).select(group).unique()
        if not news.height:
            continue
        held = pl.concat([held, members["id"]]).unique()
        explained = pl.concat([explained, members["id"]]).unique()
        named = emptied.join(news, on=list(group), how="semi").join(_list_school_names(state), on="school", how="left")
        sentences += [_describe_group(row) for row in named.sort(group).iter_rows(named=True)]
    return EmptiedGroups(held, tuple(sentences))


def _list_members_before(state: HoldState) -> pl.DataFrame:
    """Return `id`, `school`, `role` and `grade` of people whom a roster may remove; a row for each school and grade."""
    countable = select_countable_people(state.inputs.users, state.inputs.live.roles)
    people = state.inputs.users.filter(pl.col("sourced_id").is_not_null()).join(countable, on="id", how="semi")
    return _split_members(people.select("id", "role", "roles", "grades"))


def _list_members_after(state: HoldState, users: pl.DataFrame) -> pl.DataFrame:
    """Return the same of all people who stay, come or change."""
    stays = users.filter(~is_leaving(Kind.USER) & (pl.col("action") != Action.DELETE.value))
    unchanged = state.inputs.users.filter(~pl.col("tombstoned")).join(
        users.select(pl.col("live_id").alias("id")).drop_nulls(), on="id", how="anti"
    )
    columns = ["id", "role", "roles", "grades"]
    return _split_members(
        pl.concat([stays.select(pl.col("live_id").alias("id"), *columns[1:]), unchanged.select(columns)])
    )


def _split_members(people: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each school and grade of a person; only the primary role counts."""
    return (
        people.with_columns(
            pl.col("roles").str.split(ROLE_SEPARATOR).list.eval(pl.element().str.extract(r"^(.*)=")).alias("school"),
            pl.col("grades").str.split(",").list.eval(pl.element().str.strip_chars()).alias("grade"),
        )
        .explode("school")
        .explode("grade")
        .select("id", "school", "role", "grade")
    )


def _find_emptied(before: pl.DataFrame, after: pl.DataFrame, group: tuple[str, ...]) -> pl.DataFrame:
    """Return the groups of which everyone leaves and in which nobody is afterwards, with all of GROUPS' columns."""
    named = pl.all_horizontal(pl.col(group).is_not_null())
    counts = (
        before.filter(named)
        .unique(["id", *group])
        .group_by(group)
        .agg(pl.len().alias("number"), pl.col("gone").count().alias("leavers"))
    )
    emptied = counts.filter((pl.col("number") == pl.col("leavers")) & (pl.col("number") >= FEWEST))
    emptied = emptied.join(after.select(group).unique(), on=list(group), how="anti")
    others = [name for name in ("school", "role", "grade") if name not in group]
    return emptied.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in others)


def _list_people_of_emptied_schools(state: HoldState, limits: Iterable[LimitUse]) -> pl.Series:
    schools = [
        limit.scope.removeprefix("org:")
        for limit in limits
        if limit.scope != "customer" and limit.exceeded and limit.planned == limit.of
    ]
    return state.inputs.live.roles.filter(pl.col("org").is_in(schools))["account_id"].unique().alias("id")


def _list_school_names(state: HoldState) -> pl.DataFrame:
    return state.inputs.live.orgs.select(pl.col("sourced_id").alias("school"), pl.col("name").alias("school_name"))


def _describe_group(group: dict[str, object]) -> str:
    """Return `Nobody of grade 04 at Evergreen would be left.`"""
    role = str(group["role"]).replace("_", " ") if group["role"] else ""
    who = f"No {role}" if role else "Nobody"
    grade = f" of grade {group['grade']}" if group["grade"] else ""
    school = f" at {group['school_name'] or group['school']}" if group["school"] else ""
    return f"{who}{grade}{school} would be left: all {group['number']:,} would go."
