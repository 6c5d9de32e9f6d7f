"""Holds updates that would clear a field of many rows: an export probably lost the column, or left it blank.

Values that earlier runs cleared within the window count too, as long as they are still empty, so that a field which
vanishes a little each night is held as well.
"""

from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.planning.holds.limits import keep_at_least_one
from reconciler.planning.holds.state import HoldState

#: The limit's key; with a kind and a field, the name under which uses are recorded.
VANISHING_VALUES = "vanishing_values"

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


@dataclass(frozen=True, slots=True)
class _ClearedField:
    """The values of one field that would vanish, and those that vanished within the window."""

    kind: Kind
    name: str
    #: for people to read
    words: str
    #: changes that clear the field
    rows: pl.DataFrame
    #: the store's ids of active rows that earlier runs cleared
    earlier: pl.Series

    @property
    def limit_name(self) -> str:
        """The name under which uses are recorded."""
        return f"{VANISHING_VALUES} {self.kind.value}.{self.name}"


def hold_vanishing_values(state: HoldState) -> HoldState:
    """Hold the updates that clear a field of more rows than allowed, of the customer's or of one school's people."""
    if state.inputs.matching is None:
        # An undo clears only what the run had filled in, and lists it; nobody leaves by that.
        return state
    for kind in ROSTER_KINDS:
        for name, words in FIELDS[kind].items():
            rows = state.changes[kind].filter(_match_cleared(name))
            if not rows.height:
                continue
            cleared = _ClearedField(kind, name, words, rows, state.changes[kind]["live_id"].clear())
            cleared = replace(cleared, earlier=_find_earlier_ids(state, cleared))
            state = _count_toward_limit(state, cleared)
            if cause := _find_customer_cause(state, cleared):
                state = state.hold_where(kind, _match_cleared(name)).add_causes(cause)
            elif kind is Kind.USER:
                state = _hold_by_school(state, cleared)
    return state


def _match_cleared(name: str) -> pl.Expr:
    return (
        pl.col("action").is_in([each.value for each in _STAYING])
        & pl.col(f"before_{name}").is_not_null()
        & pl.col(name).is_null()
    )


def _find_earlier_ids(state: HoldState, cleared: _ClearedField) -> pl.Series:
    """Return the ids of rows that earlier runs cleared and that are still empty. Enrollments that did not change since
    are not read, so that all of them count."""
    uses = state.inputs.rules.earlier_uses
    ids = uses.filter(pl.col("name") == cleared.limit_name)["row_id"].unique()
    ids = ids.filter(~ids.is_in(cleared.rows["live_id"].implode()))
    if not ids.len() or cleared.kind is Kind.ENROLLMENT:
        return ids
    empty = _get_active_rows(state, cleared.kind).filter(pl.col(cleared.name).is_null())
    return ids.filter(ids.is_in(empty["id"].implode()))


def _count_toward_limit(state: HoldState, cleared: _ClearedField) -> HoldState:
    """Name the limit in `limits` of the rows, so that an apply records them."""
    named = pl.concat_str("limits", pl.lit(cleared.limit_name), separator=",", ignore_nulls=True)
    frame = state.changes[cleared.kind].with_columns(
        pl.when(_match_cleared(cleared.name)).then(named).otherwise("limits").alias("limits")
    )
    return replace(state, changes={**state.changes, cleared.kind: frame})


def _get_active_rows(state: HoldState, kind: Kind) -> pl.DataFrame:
    """Return the active rows; of people, those who are bound to the roster."""
    if kind is Kind.USER:
        return state.inputs.users.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
    return state.inputs.live.get_frame(kind).filter(~pl.col("tombstoned"))


def _count_values(state: HoldState, kind: Kind, name: str) -> int:
    """Count the active rows with a value; of enrollments, those that did not change count as having one."""
    active = _get_active_rows(state, kind)
    filled = active.height - active[name].null_count()
    return filled + state.inputs.live.enrollments_total - active.height if kind is Kind.ENROLLMENT else filled


def _find_customer_cause(state: HoldState, cleared: _ClearedField) -> str | None:
    """Return a sentence if more values of the whole customer would vanish than allowed."""
    total = _count_values(state, cleared.kind, cleared.name)
    earlier = cleared.earlier.len()
    threshold = state.inputs.rules.thresholds.vanishing_values
    allowed = keep_at_least_one(threshold.calculate_allowed(total), total + earlier)
    number = cleared.rows.height
    if number + earlier <= allowed:
        return None
    noun = "people" if cleared.kind is Kind.USER else cleared.kind.plural
    rest = _describe_earlier(state, number, earlier, allowed)
    return f"{number:,} of {total:,} {noun} would lose their {cleared.words}{rest}"


def _describe_earlier(state: HoldState, planned: int, earlier: int, allowed: int) -> str:
    if not earlier:
        return "."
    window = state.inputs.rules.window
    return f"; with {earlier:,} in the last {window} that is {planned + earlier:,}, and the limit is {allowed:,}."


def _hold_by_school(state: HoldState, cleared: _ClearedField) -> HoldState:
    name, rows = cleared.name, cleared.rows
    touched = _get_active_rows(state, Kind.USER).filter(
        pl.col(name).is_not_null() | pl.col("id").is_in(cleared.earlier.implode())
    )
    schools = state.inputs.live.orgs.filter(pl.col("type") == "school").select(
        pl.col("sourced_id").alias("org"), "name"
    )
    people = (
        state.population.roles.select(pl.col("account_id").alias("id"), "org")
        .unique()
        .join(touched.select("id"), on="id", how="semi")
        .join(schools, on="org", how="inner")
        .with_columns(
            pl.col("id").is_in(rows["live_id"].implode()).alias("cleared"),
            pl.col("id").is_in(cleared.earlier.implode()).alias("earlier"),
        )
    )
    counts = people.group_by("org", "name").agg(
        pl.len().alias("every"), pl.col("cleared").sum().alias("number"), pl.col("earlier").sum()
    )
    threshold = state.inputs.rules.thresholds.vanishing_values
    exceeding: list[str] = []
    causes: list[str] = []
    for org, school, every, number, earlier in counts.filter(pl.col("number") > 0).sort("org").iter_rows():
        total = every - earlier
        allowed = keep_at_least_one(threshold.calculate_allowed(total, threshold.per_school_percent), every)
        if number + earlier > allowed:
            exceeding.append(org)
            rest = _describe_earlier(state, number, earlier, allowed)
            causes.append(f"{number:,} of {total:,} people at {school or org} would lose their {cleared.words}{rest}")
    theirs = people.filter(pl.col("org").is_in(exceeding))["id"].unique()
    state = state.hold_where(Kind.USER, _match_cleared(name) & pl.col("live_id").is_in(theirs.implode()))
    return state.add_causes(*causes)
