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
from reconciler.planning.holds.approvals import Advance, release
from reconciler.planning.holds.gates import Finding
from reconciler.planning.holds.holding import Population, hold_rows, roles_left_empty
from reconciler.planning.holds.limits import (
    LOSSES_OF_PEOPLE,
    Base,
    Thresholds,
    count_rows,
    countable_people,
    exceeding,
    limit_uses,
    nothing_earlier,
)
from reconciler.planning.live import Live
from reconciler.planning.roster.roster_diff import leaving


@dataclass(frozen=True, slots=True)
class Restraint:
    """thresholds: the customer's, capped by the policy. earlier: `limits.EARLIER_SCHEMA`, within the window. approvals:
    given in advance. window: in words, for people. today: YYYY-MM-DD where the customer is.
    newcomers: live people who were made within the window, after the first roster."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    earlier: pl.DataFrame = field(default_factory=nothing_earlier)
    approvals: tuple[Advance, ...] = ()
    window: str = "7 days"
    today: str = ""
    newcomers: int = 0


@dataclass(frozen=True, slots=True)
class Restrained:
    """changes: with `held` and `limits` set. causes: a plain sentence for whatever holds something."""

    changes: dict[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    causes: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


def restrain(
    changes: Mapping[Kind, pl.DataFrame],
    users: pl.DataFrame,
    live: Live,
    rules: Restraint,
    *,
    unidentified: frozenset[Kind] = frozenset(),
    findings: Iterable[Finding] = (),
) -> Restrained:
    """users: live users with `roles`, tombstones included. findings: of gates that hold."""
    bound = pl.col("sourced_id").is_not_null()
    alive = users.filter(~pl.col("tombstoned") & bound)
    base = Base(
        people=countable_people(users, live.roles).join(users.filter(bound), on="id", how="semi"),
        roles=live.roles,
        orgs=live.orgs,
        classes=live.classes.filter(~pl.col("tombstoned")).height,
        enrollments=live.enrollments_total,
        newcomers=rules.newcomers,
    )
    counted = count_rows(changes, settled=alive.height > 0)
    uses = limit_uses(counted, base, rules.earlier, rules.thresholds)
    waiting = exceeding(counted, tuple(each for each in uses if not _everyone(each)), live.roles)
    emptied = exceeding(counted, tuple(each for each in uses if _everyone(each)), live.roles)
    waiting = waiting.join(emptied, on=["kind", "key"], how="anti")
    released = release(counted, waiting, rules.approvals, rules.earlier, rules.today)
    if rules.approvals:
        uses = limit_uses(released.changes, base, rules.earlier, rules.thresholds)
    people = population(users, live)
    known = tuple(findings)
    held = hold_rows(released.changes, uses, people, unidentified, known)
    return Restrained(
        held,
        uses,
        # Two files that are shorter than before are one reason.
        tuple(dict.fromkeys(_causes(counted, held, uses, people, unidentified, known, rules.window))),
        released.diagnostics,
    )


def _everyone(limit: LimitUse) -> bool:
    """A school that would be empty is no graduating class: no approval in advance releases it."""
    return limit.scope != "customer" and limit.exceeded and limit.planned == limit.of


def population(users: pl.DataFrame, live: Live) -> Population:
    alive = users.filter(~pl.col("tombstoned"))
    return Population(
        people=alive.filter(pl.col("sourced_id").is_not_null()).select("id", "role"),
        roles=live.roles.join(alive, left_on="account_id", right_on="id", how="semi"),
        classes=live.classes.filter(~pl.col("tombstoned")).select("sourced_id", "school"),
        orgs=live.orgs.filter(~pl.col("tombstoned")).select("sourced_id", "parent"),
    )


def _causes(
    counted: Mapping[Kind, pl.DataFrame],
    held: Mapping[Kind, pl.DataFrame],
    limits: Iterable[LimitUse],
    people: Population,
    unidentified: frozenset[Kind],
    findings: Iterable[Finding],
    window: str,
) -> Iterable[str]:
    """One plain sentence for each gate, limit or rule that holds something."""

    def waits(kind: Kind) -> bool:
        return held[kind].filter(leaving(kind) & pl.col("held")).height > 0

    for finding in findings:
        touched = ROSTER_KINDS if finding.everything else tuple(kind for kind in ROSTER_KINDS if kind in finding.kinds)
        if any(held[kind]["held"].any() if finding.everything else waits(kind) for kind in touched) or (
            finding.reasons and held[Kind.USER].filter(pl.col("held") & pl.col("reason").is_in(finding.reasons)).height
        ):
            yield finding.sentence
    # People first, then the schools they are of.
    for limit in sorted(limits, key=lambda each: (each.kind is not Kind.USER, each.name not in LOSSES_OF_PEOPLE)):
        if limit.exceeded:
            yield limit_sentence(limit, window)
    for kind in ROSTER_KINDS:
        if kind in unidentified and waits(kind):
            yield f"A row that was set aside may speak of any of the {kind.plural}, so none of them is removed."
    for role in roles_left_empty(counted[Kind.USER], people.people) if Kind.USER in counted else []:
        yield f"Nobody with the role {role} would be left."
    if waits(Kind.ORG) and held[Kind.ORG].filter(pl.col("action") == Action.DELETE.value).height:
        yield "A school or other org would be removed while people or classes still belong to it."


def limit_sentence(limit: LimitUse, window: str = "7 days") -> str:
    """For people who are no programmers. window: in words."""
    of = f"{limit.of:,}"
    if limit.scope.startswith("org:"):
        school = limit.scope.removeprefix("org:")
        who = f"{limit.label} ({school})" if limit.label != school else school
        if limit.planned == limit.of:
            return f"{who} would lose everyone: {limit.planned:,} of {of}."
        return f"{who} would lose {limit.planned:,} of {of} people{_bound(limit, window, 'go')}"
    people = "1 person" if limit.planned == 1 else f"{limit.planned:,} people"
    share = f"{limit.planned:,} of {of} people"
    match limit.name:
        case "rekeys":
            return (
                f"{share} would get a new sourcedId{_bound(limit, window, 'do')} "
                "It looks like a move to another school information system."
            )
        case "updates":
            return f"{share} would get another username, e-mail or school{_bound(limit, window, 'do')}"
        case "scope_narrowed":
            return f"{share} would leave because they are no longer selected{_bound(limit, window, 'go')}"
        case "role_escalations":
            return f"{people} would become teacher or administrator{_bound(limit, window, 'do')}"
        case _:
            what = "people" if limit.kind is Kind.USER else limit.kind.plural
            return f"{limit.planned:,} of {of} {what} would go{_bound(limit, window, 'go')}"


def _bound(limit: LimitUse, window: str, verb: str) -> str:
    if not limit.earlier:
        return f"; at most {limit.allowed:,} may {verb} at once."
    return (
        f"; with {limit.earlier:,} in the last {window} that makes {limit.seen:,}, and at most {limit.allowed:,} "
        f"may {verb}."
    )
