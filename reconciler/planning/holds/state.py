"""The value that every hold takes and returns: the changes so far, with what decides which of them wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
    """Everything that decides which changes wait, beside the changes themselves."""

    #: users with `roles`, tombstones included
    users: pl.DataFrame = field(default_factory=lambda: make_empty_live_frame(Kind.USER))
    live: LiveRoster = field(default_factory=LiveRoster)
    rules: LimitRules = field(default_factory=LimitRules)
    #: kinds with a quarantined row that may name any of their rows
    unidentified: frozenset[Kind] = frozenset()
    #: of gates that hold
    findings: tuple[GateFinding, ...] = ()
    #: kinds whose absence from the source means something
    full_kinds: frozenset[Kind] = frozenset(ROSTER_KINDS)
    #: None outside every season
    season: ActiveSeason | None = None
    #: None where nobody was matched: an undo names its accounts
    matching: MatchRules | None = None
    #: usernames, lower case, that the configuration gives to administrators
    reserved_usernames: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LivePopulation:
    """People, places and groups in the store, without tombstones."""

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
    #: somebody waits because `match_with` is not the last roster's
    has_new_matches: bool = False
    #: rows that cannot be applied beside others (QUARANTINE_SCHEMA)
    quarantine: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUARANTINE_SCHEMA))

    def hold_where(self, kind: Kind, condition: pl.Expr) -> HoldState:
        """Return the state with the kind's rows held for which `condition` is true; null counts as false."""
        frame = self.changes[kind].with_columns((pl.col("held") | condition.fill_null(False)).alias("held"))
        return replace(self, changes={**self.changes, kind: frame})

    def add_causes(self, *causes: str) -> HoldState:
        """Return the state with further sentences."""
        return replace(self, causes=(*self.causes, *causes)) if causes else self


def start_holds(changes: Mapping[Kind, pl.DataFrame], inputs: HoldInputs) -> HoldState:
    """Return the state before the first hold. changes: by kind; a kind may be left out."""
    every = {kind: changes[kind] if kind in changes else make_empty_changes(kind) for kind in ROSTER_KINDS}
    return HoldState(inputs, _build_population(inputs.users, inputs.live), every)


def _build_population(users: pl.DataFrame, live: LiveRoster) -> LivePopulation:
    alive = users.filter(~pl.col("tombstoned"))
    return LivePopulation(
        people=alive.filter(pl.col("sourced_id").is_not_null()).select("id", "role"),
        roles=live.roles.join(alive, left_on="account_id", right_on="id", how="semi"),
        classes=live.classes.filter(~pl.col("tombstoned")).select("sourced_id", "school"),
        orgs=live.orgs.filter(~pl.col("tombstoned")).select("sourced_id", "parent"),
    )
