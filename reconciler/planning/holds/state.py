"""Defines the value that every hold takes and returns: the changes so far, and the inputs that decide which wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import LimitUse
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA
from reconciler.planning.frames.change_frame import make_empty_changes
from reconciler.planning.frames.live import LiveRoster, make_empty_live_frame
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.rules import ActiveSeason, LimitRules, MatchRules


@dataclass(frozen=True, slots=True)
class HoldInputs:
    """The inputs, besides the changes, that decide which changes wait."""

    #: users with `roles`, tombstones included
    users: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.USER))
    #: with the open enrollments under the new sourcedIds of their people
    live: LiveRoster = field(default_factory=LiveRoster)
    rules: LimitRules = field(default_factory=LimitRules)
    #: kinds with a quarantined row that may name any of their rows
    unidentified: frozenset[Kind] = frozenset()
    #: of gates that hold
    findings: tuple[GateFinding, ...] = ()
    #: kinds that the source has in full, so that an absent row means a removal
    full_kinds: frozenset[Kind] = frozenset(ROSTER_KINDS)
    #: None outside every season
    season: ActiveSeason | None = None
    #: None for an undo, which matches nobody
    matching: MatchRules | None = None
    #: usernames of the customer's administrators, lower case
    reserved_usernames: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LivePopulation:
    """The active people, roles, classes and orgs in the store."""

    #: `id`, `role` of people who are bound to the roster
    people: pl.DataFrame
    #: `account_id`, `org`
    roles: pl.DataFrame
    #: `sourced_id`, `school`
    classes: pl.DataFrame
    #: `sourced_id`, `parent`
    orgs: pl.DataFrame


@dataclass(frozen=True, slots=True)
class HoldState:
    """The changes of one roster after some of the holds."""

    inputs: HoldInputs
    population: LivePopulation
    #: change frames of every roster kind; `held` only ever turns true
    changes: Mapping[Kind, pl.DataFrame]
    #: the changes as the limits counted them, before a gate or a limit held any
    counted: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    limits: tuple[LimitUse, ...] = ()
    #: one plain sentence for each rule that holds something
    causes: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    #: people are held because `match_with` differs from the last roster's
    has_new_matches: bool = False
    #: rows that clash with others (QUARANTINE_SCHEMA)
    quarantine: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUARANTINE_SCHEMA))

    def hold_where(self, kind: Kind, condition: pl.Expr) -> Self:
        """Hold the kind's rows for which `condition` is true; null counts as false."""
        frame = self.changes[kind].with_columns((pl.col("held") | condition.fill_null(False)).alias("held"))
        return replace(self, changes={**self.changes, kind: frame})

    def add_causes(self, *causes: str) -> Self:
        """Add sentences on held changes; those that were added before stay single."""
        return replace(self, causes=tuple(dict.fromkeys((*self.causes, *causes)))) if causes else self


def start_holds(changes: Mapping[Kind, pl.DataFrame], inputs: HoldInputs) -> HoldState:
    """Return the state before the first hold; `changes` may lack kinds."""
    every = {kind: changes[kind] if kind in changes else make_empty_changes(kind) for kind in ROSTER_KINDS}
    return HoldState(inputs, _build_population(inputs.users, inputs.live), every)


def _build_population(users: pl.DataFrame, live: LiveRoster) -> LivePopulation:
    active = users.filter(~pl.col("tombstoned"))
    return LivePopulation(
        people=active.filter(pl.col("sourced_id").is_not_null()).select("id", "role"),
        roles=live.roles.join(active, left_on="account_id", right_on="id", how="semi"),
        classes=live.classes.filter(~pl.col("tombstoned")).select("sourced_id", "school"),
        orgs=live.orgs.filter(~pl.col("tombstoned")).select("sourced_id", "parent"),
    )
