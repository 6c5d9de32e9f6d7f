"""Build the rules of planning from a customer's configuration: capped limits, pre-approvals and exceptions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from reconciler import clock
from reconciler.config.models import Ceilings, Customer, Limits, MergeSettings, OneRosterRostering
from reconciler.config.models import SeasonSettings as ConfiguredSeason
from reconciler.config.models import SelectionSettings as ConfiguredSelection
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.ids import Moment
from reconciler.model.text_form import make_caseless_form
from reconciler.planning.decision import RosterRules
from reconciler.planning.holds import (
    ActiveSeason,
    ExceptionToGate,
    LimitRules,
    PreApproval,
    SeasonMode,
    Threshold,
    Thresholds,
    make_empty_earlier_uses,
)
from reconciler.planning.roster import MergeEntry, RosterSelection

SELECT = "rostering.select."
CALENDAR = "rostering.calendar"
MERGES = "rostering.merges"


def build_selection(selection: ConfiguredSelection | None, origins: Mapping[str, Span]) -> RosterSelection | None:
    """Return the selection, or None if everything is selected. origins: of the customer's document."""
    if selection is None:
        return None
    roles = None if selection.roles is None else tuple(role.value for role in selection.roles)
    criteria = (selection.schools, selection.grades, roles, selection.classes)
    if all(each is None for each in criteria):
        return None
    spans = {path.removeprefix(SELECT): span for path, span in origins.items() if path.startswith(SELECT)}
    return RosterSelection(*criteria, spans=spans)


def find_season(calendar: Sequence[ConfiguredSeason], today: str, origins: Mapping[str, Span]) -> ActiveSeason | None:
    """Return the season of a date (YYYY-MM-DD, in the customer's time zone), or None.

    A season includes its last day. Of several the strictest wins, and of these the one that ends last."""
    seasons = [
        ActiveSeason(
            SeasonMode(each.mode), each.to.isoformat(), origins.get(f"{CALENDAR}.{place}") or origins.get(CALENDAR)
        )
        for place, each in enumerate(calendar)
        if each.from_.isoformat() <= today <= each.to.isoformat()
    ]
    return max(seasons, key=lambda season: (season.mode is SeasonMode.FREEZE, season.until), default=None)


def build_merge_entries(merges: Sequence[MergeSettings], origins: Mapping[str, Span]) -> tuple[MergeEntry, ...]:
    """Return the configured merges, each with its origin. origins: of the customer's document."""
    return tuple(
        MergeEntry(each.keep, each.merge, origins.get(f"{MERGES}.{place}") or origins.get(MERGES))
        for place, each in enumerate(merges)
    )


Origins = Mapping[str, Span]


def clamp_limits(limits: Limits, ceilings: Ceilings | None) -> tuple[Limits, tuple[str, ...]]:
    """Return the limits that apply, and the dotted paths of those that the policy lowers; a longer window is lower."""
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


def warn_about_lowered_limits(lowered: Iterable[str], origins: Origins) -> tuple[Diagnostic, ...]:
    """Return a warning for each lowered limit that the customer's files set; built-in defaults are lowered silently."""
    return tuple(
        build_warning(
            "limit-above-policy",
            f"rostering.limits.{path} exceeds policy.limits in reconciler.yaml; the policy's value applies",
            origins[f"rostering.limits.{path}"],
            "Lower it here, or raise the policy's limit.",
        )
        for path in lowered
        if f"rostering.limits.{path}" in origins
    )


def build_thresholds(limits: Limits) -> Thresholds:
    return Thresholds(
        users=Threshold(limits.users.percent, limits.users.floor, limits.users.per_school_percent),
        classes=Threshold(limits.classes.percent, limits.classes.floor),
        enrollments=Threshold(limits.enrollments.percent, limits.enrollments.floor),
        rekeys=Threshold(limits.rekeys.percent, limits.rekeys.floor),
        updates=Threshold(limits.updates.percent, limits.updates.floor),
        scope_narrowed=Threshold(limits.scope_narrowed.percent, limits.scope_narrowed.floor),
        vanishing_values=Threshold(
            limits.vanishing_values.percent, limits.vanishing_values.floor, limits.vanishing_values.per_school_percent
        ),
        role_escalations=Threshold(0, limits.role_escalations.count),
    )


def find_window_start(limits: Limits) -> Moment:
    """Return the moment from which earlier runs count toward the limits."""
    return clock.subtract_span(clock.get_current_moment(), limits.window)


def build_limit_rules(
    customer: Customer,
    rostering: OneRosterRostering,
    limits: Limits,
    earlier: pl.DataFrame | None = None,
    origins: Origins | None = None,
) -> LimitRules:
    """Return the limit rules of a customer.

    limits: already capped. earlier: in `limits.EARLIER_SCHEMA`, the uses of runs since `find_window_start`."""
    span = (origins or {}).get("rostering.approvals")
    return LimitRules(
        thresholds=build_thresholds(limits),
        earlier_uses=make_empty_earlier_uses() if earlier is None else earlier,
        approvals=tuple(
            PreApproval(each.people, each.until.isoformat(), each.reason, span) for each in rostering.approvals
        ),
        window=_format_window(limits.window),
        today=clock.get_current_day(customer.timezone),
    )


def build_gate_exceptions(rostering: OneRosterRostering, origins: Origins) -> tuple[ExceptionToGate, ...]:
    span = origins.get("rostering.allow")
    return tuple(ExceptionToGate(each.gate, each.until.isoformat(), each.reason, span) for each in rostering.allow)


def build_roster_rules(
    rostering: OneRosterRostering,
    limit_rules: LimitRules,
    administrators: Iterable[str] = (),
    last_match_with: str | None = None,
    origins: Origins | None = None,
) -> RosterRules:
    """Return the rules of a roster comparison. administrators: configured usernames, which no roster row may take."""
    places = origins or {}
    return RosterRules(
        match_with=rostering.match_with,
        missing=rostering.missing,
        protect=frozenset(rostering.protect),
        reserved_usernames=frozenset(make_caseless_form(username) for username in administrators),
        limit_rules=limit_rules,
        last_match_with=last_match_with,
        selection=build_selection(rostering.select, places),
        season=find_season(rostering.calendar, limit_rules.today, places),
        merges=build_merge_entries(rostering.merges, places),
        schools_without_parent=rostering.schools_without_parent,
    )


def _format_window(window: timedelta) -> str:
    days = window.days
    if days >= 1 and not window.seconds:
        return "day" if days == 1 else f"{days} days"
    hours = int(window.total_seconds() // 3600)
    return "hour" if hours == 1 else f"{hours} hours"
