"""Defines the inputs of a roster's decision."""

from dataclasses import dataclass, field

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.planning.frames.live import LiveRoster, OpenEnrollments
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.rules import ActiveSeason, LimitRules
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.merges import MergeEntry, MergePlan
from reconciler.planning.roster.removals import make_empty_sessions
from reconciler.planning.roster.selection import RosterSelection


@dataclass(frozen=True, slots=True)
class RosterRules:
    """The settings of a customer's roster."""

    match_with: str
    #: the action for absent people: delete, suspend or keep
    missing: str = "delete"
    #: sourcedIds of people whom a roster never removes
    protect: frozenset[str] = frozenset()
    #: usernames of the customer's administrators, lower case
    reserved_usernames: frozenset[str] = frozenset()
    limit_rules: LimitRules = field(default_factory=LimitRules)
    #: `match_with` of the last roster; None if there was none
    last_match_with: str | None = None
    #: the part of the roster that is synced; None for all
    selection: RosterSelection | None = None
    #: today's season of the calendar; None outside every season
    season: ActiveSeason | None = None
    #: accounts that a person declared to be one person's
    merges: tuple[MergeEntry, ...] = ()
    #: the owner of schools without a parent: `ours`, or `protect` if it is not known
    schools_without_parent: str = "protect"


@dataclass(frozen=True, slots=True)
class RosterInputs:
    """A desired roster, the same roster in the store, and the rules for comparing them."""

    desired: DesiredRoster
    #: with the live rows of `open_enrollments` as its enrollments
    live: LiveRoster
    open_enrollments: OpenEnrollments
    rules: RosterRules
    #: kinds that the source has in full, so that an absent row means a removal
    full_kinds: frozenset[Kind] = frozenset(ROSTER_KINDS)
    #: an earlier roster is still held: then its absent rows stay held, even if this source is a delta roster
    has_waiting_hold: bool = False
    #: of gates that hold
    findings: tuple[GateFinding, ...] = ()
    #: academic sessions (SESSIONS_SCHEMA) of this roster and the last good one; without them, no class has ended
    sessions: pl.DataFrame = field(default_factory=make_empty_sessions)
    #: the settled `rules.merges`; `desired` was built with it
    merge_plan: MergePlan = field(default_factory=MergePlan)

    @property
    def today(self) -> str | None:
        """The date where the customer is, YYYY-MM-DD; None if no date matters."""
        return self.rules.limit_rules.today or None
