"""A plan: a frozen value that says everything an apply would do. It holds no writer.

Roster changes are polars frames, one per kind, with the schema of `planning.frames.change_frame`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reconciler.model.change import Action, Change
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import Kind
from reconciler.model.weakening import Weakening

if TYPE_CHECKING:
    import polars as pl

FORMAT_VERSION = "1.0"

#: The catalogue's place in a plan: lessons that belong to no customer. No customer's id can hold an `@`.
CATALOG = "@catalogue"


class Outcome(StrEnum):
    CHANGES = "changes"
    UNCHANGED = "unchanged"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"


class Freshness(StrEnum):
    FRESH = "fresh"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """Where a customer's roster came from. `rows` counts data rows by file stem (`users`, `orgs`, ...),
    as read, before any belongs to a customer. `version`: of OneRoster."""

    type: str
    name: str
    freshness: Freshness
    complete: bool
    sha256: str
    fetched_at: str
    rows: Mapping[str, int]
    version: str = "1.1"


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit and how much of it is used. scope: `customer` or `org:SOURCEDID`. name: the limit's in YAML.

    seen: what this plan would use, and what runs used within the window that nobody approved (earlier). of: how many
    are live. label: what it counts, for people; the school's name where scope is a school.
    """

    kind: Kind
    action: Action
    scope: str
    seen: int
    allowed: int
    of: int
    label: str = ""
    name: str = "users"
    earlier: int = 0

    @property
    def planned(self) -> int:
        return self.seen - self.earlier

    @property
    def exceeded(self) -> bool:
        """Never by earlier runs alone: a plan that uses nothing has nothing to hold."""
        return self.planned > 0 and self.seen > self.allowed


@dataclass(frozen=True, slots=True)
class Hold:
    """Everything of one customer that waits for approval. `id` is CUSTOMER:PEOPLE:DIGEST and names exactly
    this set; `causes` are plain sentences, one for each limit or rule that holds."""

    id: str
    people: int
    rows: int
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """Rows of one kind by action (what is held included), and what stays as it is."""

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
    """What of the store the plan was made from, so that an apply can tell whether it still stands.

    version: None where the customer is not in the store; else (last run's id, write counter).
    settings: digest of the customer's configuration as last applied, None where it has none.
    declared: digest of the configuration in the files, None where it was removed.
    """

    version: tuple[int, int] | None
    settings: str | None
    declared: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerPlan:
    """What would happen to one customer.

    declared: changes of customer, communities and lessons. roster: a frame of changes by roster kind (rows
    in the order of reports; kinds without changes have no entry). roster_applies: False where the roster is
    the last snapshot, shown only. settings: the resolved configuration to keep on apply, secrets by
    reference; None where there is nothing to write. refresh: frames (live_id, fingerprint) of rows that are
    as they should be but whose fingerprint is not. snapshot: frames to keep as the last good roster; facts: what later
    sources are judged by, kept beside them. doubted: a gate holds something, so that the roster is no good one to judge
    the next by until a person approves it. weakened: settings that protect people less than those before. would_hold:
    plain sentences for what an apply of the roster would hold, where that is shown only.
    """

    id: str
    name: str
    outcome: Outcome
    precondition: PlanPrecondition
    source: SourceSummary | None = None
    hold: Hold | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    counts: Mapping[Kind, ActionCounts] = field(default_factory=dict)
    limits: tuple[LimitUse, ...] = ()
    document_changes: tuple[Change, ...] = ()
    roster: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    roster_applies: bool = True
    settings: Mapping[str, object] | None = None
    fingerprint_refresh: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    snapshot: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    is_doubtful: bool = False
    weakenings: tuple[Weakening, ...] = ()
    would_hold: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """A store's UUID and the name of the environment it was made for."""

    id: str
    environment: str


@dataclass(frozen=True, slots=True)
class GitBase:
    """The state in git that a plan takes its customers from: only those that differ. ref: as given."""

    ref: str
    commit: str


@dataclass(frozen=True, slots=True)
class OutsideBase:
    """Customers that a plan with a base leaves out, and that are not as git has them. pending: not applied yet.
    drifted: changed in the store by hand. failed: their files do not validate."""

    pending: int = 0
    drifted: int = 0
    failed: int = 0

    def __bool__(self) -> bool:
        return bool(self.pending or self.drifted or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """plan_id: digest of what the plan would do, to which customers, in which store. undoes: the run that it reverses;
    then no configuration in the files has to fit. base, elsewhere: of a plan that takes only what differs from a state
    in git. weakened: what reconciler.yaml protects less; the customers have their own."""

    plan_id: str
    created_at: str
    tool_version: str
    store: StoreIdentity
    customers: tuple[CustomerPlan, ...]
    undoes: int | None = None
    base: GitBase | None = None
    outside_base: OutsideBase | None = None
    weakenings: tuple[Weakening, ...] = ()
