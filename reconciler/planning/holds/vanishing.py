"""Holds updates that would clear a field of many rows: an export probably lost the column, or left it blank."""

from collections.abc import Iterator

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.planning.holds.state import HoldState

#: The most values of a field that may vanish at once, in percent of the rows that have one; at a school, of its people.
MAX_PERCENT, MAX_SCHOOL_PERCENT = 10, 25
#: As many may always vanish, unless they are all.
FLOOR = 5

#: Fields that may be empty, by kind, each with its words for people.
FIELDS: dict[Kind, dict[str, str]] = {
    Kind.ORG: {"identifier": "identifier", "parent": "parent"},
    Kind.USER: {
        "username": "username",
        "given_name": "given name",
        "family_name": "family name",
        "middle_name": "middle name",
        "email": "email",
        "identifier": "identifier",
        "grades": "grade",
    },
    Kind.CLASS: {
        "class_code": "class code",
        "class_type": "class type",
        "course": "course",
        "terms": "terms",
        "grades": "grade",
    },
    Kind.ENROLLMENT: {"primary": "primary flag", "begin_date": "begin date", "end_date": "end date"},
}

_STAYING = (Action.UPDATE, Action.SUSPEND, Action.RESUME, Action.REKEY, Action.ADOPT)


def hold_vanishing_values(state: HoldState) -> HoldState:
    """Hold the updates that clear a field of more rows than allowed, of the customer's or of one school's people."""
    if state.inputs.matching is None:
        # An undo clears what a run had filled in.
        return state
    for kind in ROSTER_KINDS:
        for name, words in FIELDS[kind].items():
            rows = state.changes[kind].filter(_match_cleared(name))
            if not rows.height:
                continue
            total = _count_values(state, kind, name)
            if rows.height > _compute_allowed(total, MAX_PERCENT):
                state = state.hold_where(kind, _match_cleared(name))
                noun = "people" if kind is Kind.USER else kind.plural
                state = state.add_causes(f"{rows.height:,} of {total:,} {noun} would lose their {words}.")
            elif kind is Kind.USER:
                state = _hold_by_school(state, name, words, rows)
    return state


def _match_cleared(name: str) -> pl.Expr:
    return (
        pl.col("action").is_in([each.value for each in _STAYING])
        & pl.col(f"before_{name}").is_not_null()
        & pl.col(name).is_null()
    )


def _compute_allowed(total: int, percent: int) -> int:
    allowed = max(FLOOR, total * percent // 100)
    return min(allowed, total - 1) if total >= 2 else allowed


def _count_values(state: HoldState, kind: Kind, name: str) -> int:
    """Count the active rows with a value; of enrollments, those that did not change count as having one."""
    live = state.inputs.users if kind is Kind.USER else state.inputs.live.get_frame(kind)
    active = live.filter(~pl.col("tombstoned"))
    filled = active.height - active[name].null_count()
    return filled + state.inputs.live.enrollments_total - active.height if kind is Kind.ENROLLMENT else filled


def _hold_by_school(state: HoldState, name: str, words: str, rows: pl.DataFrame) -> HoldState:
    filled = state.inputs.users.filter(~pl.col("tombstoned") & pl.col(name).is_not_null()).select("id")
    schools = state.inputs.live.orgs.filter(pl.col("type") == "school").select(
        pl.col("sourced_id").alias("org"), "name"
    )
    people = (
        state.population.roles.select(pl.col("account_id").alias("id"), "org")
        .unique()
        .join(filled, on="id", how="semi")
        .join(schools, on="org", how="inner")
    )
    cleared = pl.col("id").is_in(rows["live_id"].implode())
    counts = people.group_by("org", "name").agg(pl.len().alias("total"), cleared.sum().alias("number")).sort("org")
    exceeding = [
        (org, school, number, total)
        for org, school, total, number in counts.filter(pl.col("number") > 0).iter_rows()
        if number > _compute_allowed(total, MAX_SCHOOL_PERCENT)
    ]
    if not exceeding:
        return state
    theirs = people.filter(pl.col("org").is_in([org for org, *_ in exceeding]))["id"].unique()
    state = state.hold_where(Kind.USER, _match_cleared(name) & pl.col("live_id").is_in(theirs.implode()))
    return state.add_causes(*_describe_schools(exceeding, words))


def _describe_schools(exceeding: list[tuple[str, str | None, int, int]], words: str) -> Iterator[str]:
    for org, school, number, total in exceeding:
        yield f"{number:,} of {total:,} people at {school or org} would lose their {words}."
