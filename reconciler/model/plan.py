"""Defines the plan: a frozen value with everything that an apply would do, and no writer.

Roster changes are polars frames, one per kind, with the schema of `planning.frames.change_frame`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.model.change import Action, Change
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId, HoldId, Moment, PlanId, RunId
from reconciler.model.kind import Kind
from reconciler.model.weakening import Weakening

if TYPE_CHECKING:
    import polars as pl

FORMAT_VERSION = "1.0"

#: the catalog's place in a plan: lessons that belong to no customer. No customer's ID can contain an `@`
CATALOG = CustomerId("@catalogue")
#: in place of a customer, the whole store
ALL_CUSTOMERS = CustomerId("@all")


class Outcome(StrEnum):
    """The result of planning one customer."""

    CHANGES = "changes"
    UNCHANGED = "unchanged"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"


class Freshness(StrEnum):
    """The roster of a plan: fetched now, or the last good one."""

    FRESH = "fresh"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """The source of a customer's roster."""

    type: str
    name: str
    freshness: Freshness
    complete: bool
    sha256: str
    fetched_at: Moment
    #: data rows by file stem (`users`, `orgs`, …) as read, before rows of other customers are left out
    rows: Mapping[str, int]
    #: the version of OneRoster
    version: str = "1.1"


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit and how much of it is used."""

    kind: Kind
    action: Action
    #: `customer` or `org:SOURCEDID`
    scope: str
    #: rows that this plan uses, plus `earlier`
    seen: int
    allowed: int
    #: active rows
    of: int
    #: a name for people of what the limit counts; the school's name if the scope is a school
    label: str = ""
    #: the limit's name in YAML
    name: str = "users"
    #: rows that runs within the window used without approval
    earlier: int = 0

    @property
    def planned(self) -> int:
        return self.seen - self.earlier

    @property
    def exceeded(self) -> bool:
        """Return whether this plan exceeds the limit. Earlier runs alone never do: a plan that uses nothing has nothing
        to hold."""
        return self.planned > 0 and self.seen > self.allowed


@dataclass(frozen=True, slots=True)
class Hold:
    """All changes of one customer that wait for approval."""

    #: CUSTOMER:PEOPLE:DIGEST; names exactly this set
    id: HoldId
    people: int
    rows: int
    #: plain sentences, one for each limit or rule that holds
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """Rows of one kind by action (held rows included), and rows that stay as they are."""

    actions: Mapping[Action, int] = field(default_factory=dict)
    unchanged: int = 0
    quarantined: int = 0
    held: int = 0

    def __getitem__(self, action: Action) -> int:
        return self.actions.get(action, 0)

    @property
    def changes(self) -> int:
        return sum(self.actions.values())


@dataclass(frozen=True, slots=True)
class PlanPrecondition:
    """The state of the store that the plan was made from, so that an apply can tell whether it still holds."""

    #: (ID of the last run, write counter); None if the customer is not in the store
    version: tuple[RunId, int] | None
    #: digest of the customer's last applied configuration; None if it has none
    settings: str | None
    #: digest of the configuration in the files; None if it was removed
    declared: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPlan:
    """The planned changes of one customer."""

    id: CustomerId
    name: str
    outcome: Outcome
    precondition: PlanPrecondition
    source: SourceSummary | None = None
    hold: Hold | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    counts: Mapping[Kind, ActionCounts] = field(default_factory=dict)
    limits: tuple[LimitUse, ...] = ()
    #: changes of the customer, its communities and lessons
    document_changes: tuple[Change, ...] = ()
    #: changes by roster kind, rows in the order of reports; kinds without changes have no entry
    roster: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    #: False if the roster is a preview from the last good roster, which apply skips
    roster_applies: bool = True
    #: the resolved configuration to save on apply, secrets by reference; None if there is nothing to write
    settings: Mapping[str, object] | None = None
    #: (live_id, fingerprint) of rows whose values are right but whose fingerprint is not
    fingerprint_refresh: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    #: frames to save as the last good roster
    snapshot: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    #: facts saved with the snapshot, which later sources are compared with
    facts: Mapping[str, object] = field(default_factory=dict)
    #: True while a gate holds changes: until a person approves it, this roster does not become the last good one
    is_doubtful: bool = False
    #: settings that protect people less than before
    weakenings: tuple[Weakening, ...] = ()
    #: plain sentences for holds of an apply of the roster, if it is a preview
    would_hold: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """The identity of a store."""

    #: a UUID
    id: str
    #: the environment that the store was created for
    environment: str
    #: the store does not exist yet: id is for this once, and so are the plan's ID and those of its holds
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class GitBase:
    """The git commit that a plan is compared with; the plan takes only customers that differ from it."""

    #: as the user wrote it
    ref: str
    #: the commit compared with: of `ref`, or the one where this checkout left it
    commit: str
    #: commits of `ref` that this checkout lacks; 0 if `ref` is an ancestor or a descendant of it
    missing_commits: int = 0


@dataclass(frozen=True, slots=True)
class OutsideBase:
    """Numbers of customers that a plan with a base leaves out although they differ from git."""

    #: not applied yet
    pending: int = 0
    #: changed in the store outside reconciler
    drifted: int = 0
    #: skipped because their files are invalid
    failed: int = 0

    def __bool__(self) -> bool:
        return bool(self.pending or self.drifted or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All planned changes of all customers in one store."""

    #: digest of the changes, the customers and the store
    plan_id: PlanId
    created_at: Moment
    tool_version: str
    store: StoreIdentity
    customers: tuple[CustomerPlan, ...]
    #: ID of the run that the plan reverses; then the configuration in the files need not match. None for other plans
    undoes: RunId | None = None
    #: None unless the plan takes only customers that differ from a git commit
    base: GitBase | None = None
    #: None without a base
    outside_base: OutsideBase | None = None
    #: settings of reconciler.yaml that protect people less than before; each customer has its own
    weakenings: tuple[Weakening, ...] = ()
