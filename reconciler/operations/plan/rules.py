"""From a customer's configuration to what planning decides by: limits capped by the policy, approvals, allowances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from reconciler import clock
from reconciler.config.models.customer import Customer
from reconciler.config.models.limits import Limits
from reconciler.config.models.rostering import Merge, OneRosterRostering
from reconciler.config.models.rostering import Season as ConfiguredSeason
from reconciler.config.models.rostering import Selection as ConfiguredSelection
from reconciler.config.models.settings import Ceilings
from reconciler.model.diagnostic import Diagnostic, Span, warning
from reconciler.planning.holds.approvals import Advance
from reconciler.planning.holds.gates import Allowance
from reconciler.planning.holds.holding import Mode, Season
from reconciler.planning.holds.limits import Threshold, Thresholds, nothing_earlier
from reconciler.planning.holds.restrain import Restraint
from reconciler.planning.roster.merges import Entry
from reconciler.planning.roster.plan_roster import RosterRules
from reconciler.planning.roster.selection import Selection

# What the configuration says of a roster: the part it selects, the season that the day is in, who is one person.

SELECT = "rostering.select."
CALENDAR = "rostering.calendar"
MERGES = "rostering.merges"


def selection_of(selection: ConfiguredSelection | None, origins: Mapping[str, Span]) -> Selection | None:
    """None where everything is selected. origins: of the customer's document."""
    if selection is None:
        return None
    roles = None if selection.roles is None else tuple(role.value for role in selection.roles)
    criteria = (selection.schools, selection.grades, roles, selection.classes)
    if all(each is None for each in criteria):
        return None
    spans = {path.removeprefix(SELECT): span for path, span in origins.items() if path.startswith(SELECT)}
    return Selection(*criteria, spans=spans)


def season_of(calendar: Sequence[ConfiguredSeason], today: str, origins: Mapping[str, Span]) -> Season | None:
    """The season of a day (YYYY-MM-DD, where the customer is), its last day included: of several the strictest, and of
    these the one that lasts longest."""
    found = [
        Season(Mode(each.mode), each.to.isoformat(), origins.get(f"{CALENDAR}.{place}") or origins.get(CALENDAR))
        for place, each in enumerate(calendar)
        if each.from_.isoformat() <= today <= each.to.isoformat()
    ]
    return max(found, key=lambda season: (season.mode is Mode.FREEZE, season.until), default=None)


def entries_of(merges: Sequence[Merge], origins: Mapping[str, Span]) -> tuple[Entry, ...]:
    """Who is one person, each with where that is written. origins: of the customer's document."""
    return tuple(
        Entry(each.keep, each.merge, origins.get(f"{MERGES}.{place}") or origins.get(MERGES))
        for place, each in enumerate(merges)
    )


Origins = Mapping[str, Span]


def capped(limits: Limits, ceilings: Ceilings | None) -> tuple[Limits, tuple[str, ...]]:
    """The limits that hold, and the dotted paths of those that the policy lowers. A longer window is stricter."""
    if ceilings is None:
        return limits, ()
    changed: dict[str, Any] = {}
    lowered = []
    for name in type(limits).model_fields:
        mine, above = getattr(limits, name), getattr(ceilings, name)
        if above is None:
            continue
        if isinstance(mine, timedelta):
            if mine < above:
                changed[name] = above
                lowered.append(name)
            continue
        most = above.model_dump(exclude_none=True)
        parts = {part: value for part, value in most.items() if getattr(mine, part) > value}
        changed[name] = mine.model_copy(update=parts)
        lowered += [f"{name}.{part}" for part in parts]
    return limits.model_copy(update=changed), tuple(lowered)


def cap_warnings(lowered: Iterable[str], origins: Origins) -> tuple[Diagnostic, ...]:
    """A warning where the customer's own files ask for more than the policy grants; built-in defaults are lowered
    without a word."""
    return tuple(
        warning(
            "limit-above-policy",
            f"rostering.limits.{path} asks for more than policy.limits in reconciler.yaml grants; the policy's holds",
            origins[f"rostering.limits.{path}"],
            "lower it here, or raise the policy's",
        )
        for path in lowered
        if f"rostering.limits.{path}" in origins
    )


def thresholds(limits: Limits) -> Thresholds:
    return Thresholds(
        users=Threshold(limits.users.percent, limits.users.floor, limits.users.per_school_percent),
        classes=Threshold(limits.classes.percent, limits.classes.floor),
        enrollments=Threshold(limits.enrollments.percent, limits.enrollments.floor),
        rekeys=Threshold(limits.rekeys.percent, limits.rekeys.floor),
        updates=Threshold(limits.updates.percent, limits.updates.floor),
        scope_narrowed=Threshold(limits.scope_narrowed.percent, limits.scope_narrowed.floor),
        role_escalations=Threshold(0, limits.role_escalations.count),
    )


def window_since(limits: Limits) -> str:
    """The moment from which on what runs did counts along."""
    return clock.before(clock.now(), limits.window)


def restraint(
    customer: Customer,
    rostering: OneRosterRostering,
    limits: Limits,
    earlier: pl.DataFrame | None = None,
    origins: Origins | None = None,
) -> Restraint:
    """limits: capped. earlier: `limits.EARLIER_SCHEMA`, what runs since `window_since` used."""
    span = (origins or {}).get("rostering.approvals")
    return Restraint(
        thresholds=thresholds(limits),
        earlier=nothing_earlier() if earlier is None else earlier,
        approvals=tuple(
            Advance(each.people, each.until.isoformat(), each.reason, span) for each in rostering.approvals
        ),
        window=_in_words(limits.window),
        today=clock.today(customer.timezone),
    )


def allowances(rostering: OneRosterRostering, origins: Origins) -> tuple[Allowance, ...]:
    span = origins.get("rostering.allow")
    return tuple(Allowance(each.gate, each.until.isoformat(), each.reason, span) for each in rostering.allow)


def roster_rules(
    rostering: OneRosterRostering,
    restrained_by: Restraint,
    administrators: Iterable[str] = (),
    last_match_with: str | None = None,
    origins: Origins | None = None,
) -> RosterRules:
    """administrators: usernames of the configuration's."""
    places = origins or {}
    return RosterRules(
        match_with=rostering.match_with,
        missing=rostering.missing,
        protect=frozenset(rostering.protect),
        reserved_usernames=frozenset(username.lower() for username in administrators),
        restraint=restrained_by,
        last_match_with=last_match_with,
        selection=selection_of(rostering.select, places),
        season=season_of(rostering.calendar, restrained_by.today, places),
        merges=entries_of(rostering.merges, places),
    )


def _in_words(window: timedelta) -> str:
    days = window.days
    if days >= 1 and not window.seconds:
        return "day" if days == 1 else f"{days} days"
    hours = int(window.total_seconds() // 3600)
    return "hour" if hours == 1 else f"{hours} hours"
