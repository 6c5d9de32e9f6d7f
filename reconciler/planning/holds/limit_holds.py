"""Counts the changes toward the customer's limits, and holds the rows that exceed one."""

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import LimitUse
from reconciler.planning.frames.live import select_countable_people
from reconciler.planning.frames.losses import is_leaving, is_vanishing
from reconciler.planning.holds.approvals import apply_approvals
from reconciler.planning.holds.groups import find_emptied_groups
from reconciler.planning.holds.limits import (
    PEOPLE_LOSS_LIMITS,
    LimitBase,
    assign_limits,
    compute_limit_uses,
    find_exceeding_rows,
)
from reconciler.planning.holds.state import HoldInputs, HoldState


def count_limit_uses(state: HoldState) -> HoldState:
    """Count every row, held or not, toward the limits, except those that a pre-approval releases."""
    rules, roles = state.inputs.rules, state.inputs.live.roles
    base = _build_limit_base(state.inputs)
    counted = assign_limits(state.changes, has_rostered_people=state.population.people.height > 0)
    uses = compute_limit_uses(counted, base, rules.earlier_uses, rules.thresholds)
    waiting = find_exceeding_rows(counted, tuple(each for each in uses if not _is_everyone_of_school(each)), roles)
    emptied = find_exceeding_rows(counted, tuple(each for each in uses if _is_everyone_of_school(each)), roles)
    if rules.approvals:
        waiting = pl.concat([waiting, _list_emptied_group_rows(state, counted[Kind.USER], uses)]).unique(
            maintain_order=True
        )
    waiting = waiting.join(emptied, on=["kind", "key"], how="anti")
    released = apply_approvals(counted, waiting, rules.approvals, rules.earlier_uses, rules.today)
    if rules.approvals:
        uses = compute_limit_uses(released.changes, base, rules.earlier_uses, rules.thresholds)
    return replace(
        state,
        changes=released.changes,
        counted=released.changes,
        limits=uses,
        diagnostics=(*state.diagnostics, *released.diagnostics),
    )


def _list_emptied_group_rows(state: HoldState, users: pl.DataFrame, uses: Iterable[LimitUse]) -> pl.DataFrame:
    """Return `kind` and `key` of people of emptied groups, whom a pre-approval may release: they may graduate."""
    ids = find_emptied_groups(state, users, uses).ids
    return users.filter(pl.col("live_id").is_in(ids.implode())).select(pl.lit(Kind.USER.value).alias("kind"), "key")


def _build_limit_base(inputs: HoldInputs) -> LimitBase:
    bound = inputs.users.filter(pl.col("sourced_id").is_not_null())
    return LimitBase(
        people=select_countable_people(inputs.users, inputs.live.roles).join(bound, on="id", how="semi"),
        roles=inputs.live.roles,
        orgs=inputs.live.orgs,
        classes=inputs.live.classes.filter(~pl.col("tombstoned")).height,
        enrollments=inputs.live.enrollments_total,
        newcomers=inputs.rules.newcomers,
    )


def _is_everyone_of_school(limit: LimitUse) -> bool:
    """Return whether a school would be empty: that is no graduating class, so no pre-approval releases it."""
    return limit.scope != "customer" and limit.exceeded and limit.planned == limit.of


def hold_exceeding_rows(state: HoldState) -> HoldState:
    """Hold all rows that an exceeded limit counts in its scope."""
    over = find_exceeding_rows(state.changes, state.limits, state.population.roles)
    for kind in ROSTER_KINDS:
        keys = over.filter(pl.col("kind") == kind.value)["key"]
        if keys.len():
            state = state.hold_where(kind, pl.col("limits").is_not_null() & pl.col("key").is_in(keys.implode()))
    # People come first, then their schools.
    ordered = sorted(state.limits, key=lambda each: (each.kind is not Kind.USER, each.name not in PEOPLE_LOSS_LIMITS))
    window = state.inputs.rules.window
    return state.add_causes(*(describe_limit(limit, window) for limit in ordered if limit.exceeded))


def hold_for_unidentified_rows(state: HoldState) -> HoldState:
    """Hold all losses of kinds that have a quarantined row which may name any of their rows."""
    for kind in ROSTER_KINDS:
        if kind in state.inputs.unidentified:
            state = state.hold_where(kind, is_vanishing(kind))
            if state.changes[kind].filter(is_leaving(kind)).height:
                state = state.add_causes(
                    f"A quarantined row could mean any of the {kind.plural}, so none of them are removed."
                )
    return state


def describe_limit(limit: LimitUse, window: str = "7 days") -> str:
    """Return a sentence on a limit for school administrators. `window` is in words."""
    of = f"{limit.of:,}"
    if limit.scope.startswith("org:"):
        school = limit.scope.removeprefix("org:")
        who = f"{limit.label} ({school})" if limit.label != school else school
        if limit.planned == limit.of:
            return f"{who} would lose everyone: {limit.planned:,} of {of}."
        return f"{who} would lose {limit.planned:,} of {of} people{_describe_bound(limit, window)}"
    people = "1 person" if limit.planned == 1 else f"{limit.planned:,} people"
    share = f"{limit.planned:,} of {of} people"
    match limit.name:
        case "rekeys":
            return (
                f"{share} would get a new ID{_describe_bound(limit, window)} "
                "This looks like a move to another student information system."
            )
        case "updates":
            return f"{share} would change username, email or school{_describe_bound(limit, window)}"
        case "scope_narrowed":
            return f"{share} would be removed because they are no longer selected{_describe_bound(limit, window)}"
        case "role_escalations":
            role = "a teacher or administrator" if limit.planned == 1 else "teachers or administrators"
            return f"{people} would become {role}{_describe_bound(limit, window)}"
        case _:
            what = "people" if limit.kind is Kind.USER else limit.kind.plural
            return f"{limit.planned:,} of {of} {what} would be removed{_describe_bound(limit, window)}"


def _describe_bound(limit: LimitUse, window: str) -> str:
    if not limit.earlier:
        return f"; the limit is {limit.allowed:,} at once."
    return f"; with {limit.earlier:,} in the last {window} that is {limit.seen:,}, and the limit is {limit.allowed:,}."
