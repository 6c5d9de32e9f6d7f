"""Builds one customer's plan from the decisions on its documents and its roster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import polars as pl

from reconciler.model.change import Action, Change, Delete, count_affected_people, get_action
from reconciler.model.diagnostic import Diagnostic, sort_diagnostics
from reconciler.model.ids import CustomerId
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import ActionCounts, CustomerPlan, Outcome, PlanPrecondition, SourceSummary
from reconciler.model.reason import Reason
from reconciler.model.weakening import Weakening
from reconciler.planning.customer_hold import build_hold
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.change_frame import IMPACT_PREFIX

CUSTOMER_REMOVAL_CAUSE = "A customer would be removed; none of its people could sign in."
COMMUNITY_REMOVAL_CAUSE = "A community would be removed; its people would lose its lessons."
LOCKOUT_CAUSE = "Settings would lock out {people:,} {noun}; nobody is deleted."


@dataclass(frozen=True, slots=True)
class Impact:
    """Counts of the data that goes with rows that leave: `id` in the store and the columns of IMPACT_COLUMNS."""

    people: pl.DataFrame
    classes: pl.DataFrame
    orgs: pl.DataFrame


def add_impact(kind: Kind, changes: pl.DataFrame, impact: Impact) -> pl.DataFrame:
    """Return `changes` with the kind's `impact_*` columns; null for rows that have nothing and for new rows."""
    table = {Kind.USER: impact.people, Kind.CLASS: impact.classes, Kind.ORG: impact.orgs}.get(kind)
    if table is None or not changes.height:
        return changes
    named = table.rename({name: f"{IMPACT_PREFIX}{name}" for name in table.columns if name != "id"})
    return changes.join(named, left_on="live_id", right_on="id", how="left", maintain_order="left")


def build_refused_plan(
    customer_id: CustomerId,
    name: str,
    seen: PlanPrecondition,
    diagnostics: Iterable[Diagnostic],
    source: SourceSummary | None = None,
) -> CustomerPlan:
    """Return the plan of a customer whose source was refused: it changes nothing."""
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.REFUSED,
        precondition=seen,
        source=source,
        diagnostics=tuple(diagnostics),
    )


def build_failed_plan(customer_id: CustomerId, name: str, diagnostics: Iterable[Diagnostic]) -> CustomerPlan:
    """Return the plan of a customer whose files or stored data cannot be read: it is neither changed nor removed."""
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.FAILED,
        precondition=PlanPrecondition(None, None, None),
        diagnostics=tuple(diagnostics),
    )


def build_unchanged_plan(
    customer_id: CustomerId,
    name: str,
    *,
    seen: PlanPrecondition,
    documents: Mapping[Kind, int],
    roster_applies: bool,
    diagnostics: Iterable[Diagnostic],
) -> CustomerPlan:
    """Return the plan that `build_customer_plan` makes if no document differs and no roster is compared. `documents`
    counts them by kind."""
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.UNCHANGED,
        precondition=seen,
        diagnostics=sort_diagnostics(diagnostics),
        counts={kind: _count_unchanged(documents[kind]) for kind in DECLARED_KINDS if documents.get(kind)},
        roster_applies=roster_applies,
    )


@cache
def _count_unchanged(number: int) -> ActionCounts:
    return ActionCounts(unchanged=number)


@dataclass(frozen=True, slots=True)
class PlannedDocuments:
    """The part of a plan on the customer's documents."""

    seen: PlanPrecondition
    #: in the order of kind and id, none held yet
    changes: tuple[Change, ...] = ()
    #: how many documents of each kind stay as they are
    unchanged_counts: Mapping[Kind, int] = field(default_factory=dict)
    #: the configuration that apply saves; None if there is nothing to write
    settings: Mapping[str, object] | None = None
    #: settings that protect people less than before
    weakenings: tuple[Weakening, ...] = ()
    #: sentences that say why every change waits, whatever it is; empty if only removals do
    hold_causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedRoster:
    """The part of a plan on the customer's roster."""

    decision: RosterDecision
    #: None if nothing was counted
    impact: Impact | None = None
    #: None for an undo, which has no source
    source: SourceSummary | None = None
    #: frames to save as the last good roster
    snapshot: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    #: facts of the source that the gates compare later sources with
    facts: Mapping[str, object] = field(default_factory=dict)
    #: a gate holds something, so gates do not compare the next roster with this one until a person approves it
    is_doubtful: bool = False


def build_customer_plan(
    customer_id: CustomerId,
    name: str,
    documents: PlannedDocuments,
    roster: PlannedRoster | None = None,
    *,
    hold_key: str,
    roster_applies: bool = True,
    diagnostics: Iterable[Diagnostic] = (),
) -> CustomerPlan:
    """Return the plan of one customer. `roster` is None if none was compared; `roster_applies` is False for a preview,
    which apply leaves out; `hold_key` is the store's key for holds, as hex."""
    plan = _plan_documents(customer_id, name, documents)
    if roster is not None:
        plan = _add_roster(plan, roster)
    plan = replace(plan, roster_applies=roster_applies, diagnostics=sort_diagnostics([*diagnostics, *plan.diagnostics]))
    if roster is not None and not roster_applies:
        plan = replace(plan, fingerprint_refresh={}, would_hold=roster.decision.causes)
    return _add_outcome(plan, documents.hold_causes, roster, hold_key)


def _plan_documents(customer_id: CustomerId, name: str, documents: PlannedDocuments) -> CustomerPlan:
    changes = hold_document_removals(documents.changes)
    if documents.hold_causes:
        changes = tuple(replace(change, held=True) for change in changes)
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.UNCHANGED,
        precondition=documents.seen,
        counts=_count_document_changes(changes, documents.unchanged_counts),
        document_changes=changes,
        settings=documents.settings,
        weakenings=documents.weakenings,
    )


def _add_roster(plan: CustomerPlan, roster: PlannedRoster) -> CustomerPlan:
    decision, impact = roster.decision, roster.impact
    return replace(
        plan,
        source=roster.source,
        diagnostics=decision.diagnostics,
        counts={**plan.counts, **decision.counts},
        limits=decision.limits,
        roster={
            kind: frame if impact is None else add_impact(kind, frame, impact)
            for kind, frame in decision.changes.items()
        },
        fingerprint_refresh=decision.refresh,
        snapshot=roster.snapshot,
        facts=roster.facts,
    )


def _add_outcome(
    plan: CustomerPlan, causes_of_documents: Iterable[str], roster: PlannedRoster | None, hold_key: str
) -> CustomerPlan:
    """Return the plan with its outcome and with the hold of everything in it that waits."""
    causes = (
        *causes_of_documents,
        *_list_removal_causes(plan.document_changes),
        *(roster.decision.causes if roster else ()),
    )
    hold = build_hold(plan, causes, hold_key)
    changes = any(each.changes for each in plan.counts.values())
    outcome = Outcome.HELD if hold else Outcome.CHANGES if changes else Outcome.UNCHANGED
    is_doubtful = roster is not None and roster.is_doubtful and hold is not None
    return replace(plan, outcome=outcome, hold=hold, is_doubtful=is_doubtful)


def hold_document_removals(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Hold what always needs approval: the removal of a customer, with all its documents, or of a community, and
    settings that lock people out."""
    known = tuple(changes)
    removes_customer = any(isinstance(change, Delete) and change.kind is Kind.CUSTOMER for change in known)
    return tuple(
        replace(change, held=True) if removes_customer or _takes_people_away(change) else change for change in known
    )


def _takes_people_away(change: Change) -> bool:
    is_removal = isinstance(change, Delete) and change.kind is Kind.COMMUNITY
    return is_removal or change.reason is Reason.LOCKS_OUT


def _count_document_changes(documents: Iterable[Change], unchanged: Mapping[Kind, int]) -> dict[Kind, ActionCounts]:
    counts = {}
    for kind in DECLARED_KINDS:
        actions: dict[Action, int] = {}
        held = 0
        for change in documents:
            if change.kind is kind:
                action = get_action(change)
                actions[action] = actions.get(action, 0) + 1
                held += change.held
        if actions or unchanged.get(kind):
            counts[kind] = ActionCounts(actions, unchanged=unchanged.get(kind, 0), held=held)
    return counts


def _list_removal_causes(documents: Iterable[Change]) -> list[str]:
    waiting = [change for change in documents if change.held]
    held = {change.kind for change in waiting if isinstance(change, Delete)}
    locked = [count_affected_people(change) for change in waiting if change.reason is Reason.LOCKS_OUT]
    people = sum(locked)
    lockouts = [LOCKOUT_CAUSE.format(people=people, noun="person" if people == 1 else "people")] if locked else []
    return lockouts + [
        sentence
        for kind, sentence in ((Kind.CUSTOMER, CUSTOMER_REMOVAL_CAUSE), (Kind.COMMUNITY, COMMUNITY_REMOVAL_CAUSE))
        if kind in held
    ]
