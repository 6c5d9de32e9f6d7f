"""Defines the settings that decide how much a roster may change without approval."""

from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

from reconciler.model.diagnostic import Span
from reconciler.planning.holds.approvals import PreApproval
from reconciler.planning.holds.limits import Thresholds, make_empty_earlier_uses


@dataclass(frozen=True, slots=True)
class LimitRules:
    """A customer's limits and the uses that count toward them already."""

    #: the customer's, capped by the policy
    thresholds: Thresholds = field(default_factory=Thresholds)
    #: uses by earlier runs within the window (`limits.EARLIER_USES_SCHEMA`)
    earlier_uses: pl.DataFrame = field(default_factory=make_empty_earlier_uses)
    approvals: tuple[PreApproval, ...] = ()
    #: the window in words, for people to read
    window: str = "7 days"
    #: YYYY-MM-DD where the customer is; empty if no date matters
    today: str = ""
    #: active people who were added within the window, after the first roster
    newcomers: int = 0


class SeasonMode(StrEnum):
    """The changes that a season of the calendar holds."""

    #: every change of the roster
    FREEZE = "freeze"
    #: removals
    ADDS_ONLY = "adds_only"


@dataclass(frozen=True, slots=True)
class ActiveSeason:
    """The season of the calendar that today is in."""

    mode: SeasonMode
    #: its last date, YYYY-MM-DD
    until: str
    #: its place in the file
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class MatchRules:
    """The evidence by which rows of users.csv were matched with accounts."""

    match_with: str
    #: the same for the last roster; None if there was none
    last_match_with: str | None
    #: the accounts that rows were matched with, tombstones included
    accounts: pl.DataFrame
