"""What of the changes waits for a person: by limits, by gates, and because too much depends on it.

The one way to hold rows, for a plan from a roster and for one that takes a run back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import LimitUse
from reconciler.planning.holds.approvals import PreApproval, apply_approvals
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.holding import LivePopulation, find_roles_left_empty, hold_rows
from reconciler.planning.holds.limits import (
    PEOPLE_LOSS_LIMITS,
    LimitBase,
    Thresholds,
    assign_limits,
    compute_limit_uses,
    find_exceeding_rows,
    make_empty_earlier_uses,
    select_countable_people,
)
from reconciler.planning.live import LiveRoster
from reconciler.planning.roster.roster_diff import is_leaving


@dataclass(frozen=True, slots=True)
class LimitRules:
    """thresholds: the customer's, capped by the policy. earlier: `limits.EARLIER_SCHEMA`, within the window. approvals:
    given in advance. window: in words, for people. today: YYYY-MM-DD where the customer is.
    newcomers: live people who were made within the window, after the first roster."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    earlier_uses: pl.DataFrame = field(default_factory=make_empty_earlier_uses)
    approvals: tuple[PreApproval, ...] = ()
    window: str = "7 days"
    today: str = ""
    newcomers: int = 0


@dataclass(frozen=True, slots=True)
class LimitResult:
    """changes: with `held` and `limits` set. causes: a plain sentence for whatever holds something."""

    changes: dict[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    causes: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


def apply_limits(
    changes: Mapping[Kind, pl.DataFrame],
    users: pl.DataFrame,
    live: LiveRoster,
    rules: LimitRules,
    *,
    unidentified: frozenset[Kind] = frozenset(),
    findings: Iterable[GateFinding] = (),
) -> LimitResult:
    """users: live users with `roles`, tombstones included. findings: of gates that hold."""
    bound = pl.col("sourced_id").is_not_null()
    alive = users.filter(~pl.col("tombstoned") & bound)
    base = LimitBase(
        people=select_countable_people(users, live.roles).join(users.filter(bound), on="id", how="semi"),
        roles=live.roles,
        orgs=live.orgs,
        classes=live.classes.filter(~pl.col("tombstoned")).height,
        enrollments=live.enrollments_total,
        newcomers=rules.newcomers,
    )
    counted = assign_limits(changes, has_rostered_people=alive.height > 0)
    uses = compute_limit_uses(counted, base, rules.earlier_uses, rules.thresholds)
    waiting = find_exceeding_rows(counted, tuple(each for each in uses if not _is_everyone_of_school(each)), live.roles)
    emptied = find_exceeding_rows(counted, tuple(each for each in uses if _is_everyone_of_school(each)), live.roles)
    waiting = waiting.join(emptied, on=["kind", "key"], how="anti")
    released = apply_approvals(counted, waiting, rules.approvals, rules.earlier_uses, rules.today)
    if rules.approvals:
        uses = compute_limit_uses(released.changes, base, rules.earlier_uses, rules.thresholds)
    people = build_population(users, live)
    known = tuple(findings)
    held = hold_rows(released.changes, uses, people, unidentified, known)
    return LimitResult(
        held,
        uses,
        # Two files that are shorter than before are one reason.
        tuple(dict.fromkeys(_list_causes(counted, held, uses, people, unidentified, known, rules.window))),
        released.diagnostics,
    )


def _is_everyone_of_school(limit: LimitUse) -> bool:
    """A school that would be empty is no graduating class: no approval in advance releases it."""
    return limit.scope != "customer" and limit.exceeded and limit.planned == limit.of


def build_population(users: pl.DataFrame, live: LiveRoster) -> LivePopulation:
    alive = users.filter(~pl.col("tombstoned"))
    return LivePopulation(
        people=alive.filter(pl.col("sourced_id").is_not_null()).select("id", "role"),
        roles=live.roles.join(alive, left_on="account_id", right_on="id", how="semi"),
        classes=live.classes.filter(~pl.col("tombstoned")).select("sourced_id", "school"),
        orgs=live.orgs.filter(~pl.col("tombstoned")).select("sourced_id", "parent"),
    )


def _list_causes(
    counted: Mapping[Kind, pl.DataFrame],
    held: Mapping[Kind, pl.DataFrame],
    limits: Iterable[LimitUse],
    people: LivePopulation,
    unidentified: frozenset[Kind],
    findings: Iterable[GateFinding],
    window: str,
) -> Iterable[str]:
    """One plain sentence for each gate, limit or rule that holds something."""

    def waits(kind: Kind) -> bool:
        return held[kind].filter(is_leaving(kind) & pl.col("held")).height > 0

    for finding in findings:
        touched = (
            ROSTER_KINDS if finding.holds_everything else tuple(kind for kind in ROSTER_KINDS if kind in finding.kinds)
        )
        if any(held[kind]["held"].any() if finding.holds_everything else waits(kind) for kind in touched) or (
            finding.reasons and held[Kind.USER].filter(pl.col("held") & pl.col("reason").is_in(finding.reasons)).height
        ):
            yield finding.sentence
    # People first, then the schools they are of.
    for limit in sorted(limits, key=lambda each: (each.kind is not Kind.USER, each.name not in PEOPLE_LOSS_LIMITS)):
        if limit.exceeded:
            yield describe_limit(limit, window)
    for kind in ROSTER_KINDS:
        if kind in unidentified and waits(kind):
            yield f"A row that was set aside may speak of any of the {kind.plural}, so none of them is removed."
    for role in find_roles_left_empty(counted[Kind.USER], people.people) if Kind.USER in counted else []:
        yield f"Nobody with the role {role} would be left."
    if waits(Kind.ORG) and held[Kind.ORG].filter(pl.col("action") == Action.DELETE.value).height:
        yield "A school or other org would be removed while people or classes still belong to it."


def describe_limit(limit: LimitUse, window: str = "7 days") -> str:
    """For people who are no programmers. window: in words."""
    of = f"{limit.of:,}"
    if limit.scope.startswith("org:"):
        school = limit.scope.removeprefix("org:")
        who = f"{limit.label} ({school})" if limit.label != school else school
        if limit.planned == limit.of:
            return f"{who} would lose everyone: {limit.planned:,} of {of}."
        return f"{who} would lose {limit.planned:,} of {of} people{_describe_bound(limit, window, 'go')}"
    people = "1 person" if limit.planned == 1 else f"{limit.planned:,} people"
    share = f"{limit.planned:,} of {of} people"
    match limit.name:
        case "rekeys":
            return (
                f"{share} would get a new sourcedId{_describe_bound(limit, window, 'do')} "
                "It looks like a move to another school information system."
            )
        case "updates":
            return f"{share} would get another username, e-mail or school{_describe_bound(limit, window, 'do')}"
        case "scope_narrowed":
            return f"{share} would leave because they are no longer selected{_describe_bound(limit, window, 'go')}"
        case "role_escalations":
            return f"{people} would become teacher or administrator{_describe_bound(limit, window, 'do')}"
        case _:
            what = "people" if limit.kind is Kind.USER else limit.kind.plural
            return f"{limit.planned:,} of {of} {what} would go{_describe_bound(limit, window, 'go')}"


def _describe_bound(limit: LimitUse, window: str, verb: str) -> str:
    if not limit.earlier:
        return f"; at most {limit.allowed:,} may {verb} at once."
    return (
        f"; with {limit.earlier:,} in the last {window} that makes {limit.seen:,}, and at most {limit.allowed:,} "
        f"may {verb}."
    )
