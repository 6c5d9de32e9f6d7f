"""The request for a plan: the customers and the rosters that it covers."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from reconciler.clock import get_current_moment
from reconciler.model.ids import CustomerId, Moment
from reconciler.operations.fetch.fetching import ProgressFactory, make_silent_progress
from reconciler.operations.fetch.fresh import PrefetchedRosters


class RosterChoice(StrEnum):
    FRESH = "fresh"
    LAST = "last"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    #: ids; empty for all customers and the catalog or, with a base, for everything that differs from it
    customers: tuple[CustomerId, ...] = ()
    #: the OneRoster ZIP file of the only customer in `customers`
    bundle: Path | None = None
    roster: RosterChoice = RosterChoice.LAST
    #: ISO-8601 UTC
    fetched_at: Moment = field(default_factory=get_current_moment)
    #: by customer, the results of fetches that already ended
    prefetched: PrefetchedRosters = field(default_factory=dict)
    progress_factory: ProgressFactory = make_silent_progress

    @property
    def effective_roster(self) -> RosterChoice:
        """Return the roster to plan with; a given ZIP file is always a fresh one."""
        return RosterChoice.FRESH if self.bundle else self.roster
