"""One customer's plan, put together from what was decided about its documents and its roster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import polars as pl

from reconciler.model.change import Action, Change, get_action
from reconciler.model.diagnostic import Diagnostic, sort_diagnostics
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import ActionCounts, CustomerPlan, Outcome, PlanPrecondition, SourceSummary
from reconciler.model.weakening import Weakening
from reconciler.planning.decision.decide_roster import RosterDecision
from reconciler.planning.frames.change_frame import IMPACT_PREFIX
from reconciler.planning.holds.hold import build_hold, hold_document_removals

# What goes with a person, class or org that leaves: columns `impact_*` on change frames.


@dataclass(frozen=True, slots=True)
class Impact:
    """Counts by the store's ids. people: id, enrollments, classes, assignments, lti_links, password (bool),
    last_sign_in (text). classes: id, enrollments, assignments. orgs: id, people, classes."""

    people: pl.DataFrame
    classes: pl.DataFrame
    orgs: pl.DataFrame


def add_impact(kind: Kind, changes: pl.DataFrame, impact: Impact) -> pl.DataFrame:
    """`changes` with the kind's `impact_*` columns; null for what has nothing, and for rows that are new."""
    tables = {Kind.USER: impact.people, Kind.CLASS: impact.classes, Kind.ORG: impact.orgs}
    table = tables.get(kind)
    if table is None or not changes.height:
        return changes
    named = table.rename({name: f"{IMPACT_PREFIX}{name}" for name in table.columns if name != "id"})
    return changes.join(named, left_on="live_id", right_on="id", how="left", maintain_order="left")


CUSTOMER_REMOVAL_CAUSE = "A customer would be removed; nobody of it could sign in any more."
COMMUNITY_REMOVAL_CAUSE = "A community would be removed; its people would lose its lessons."


def build_refused_plan(
    customer_id: str,
    name: str,
    seen: PlanPrecondition,
    diagnostics: Iterable[Diagnostic],
    source: SourceSummary | None = None,
) -> CustomerPlan:
    """The source was refused whole: nothing is planned for this customer."""
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.REFUSED,
        precondition=seen,
        source=source,
        diagnostics=tuple(diagnostics),
    )


def build_failed_plan(customer_id: str, name: str, diagnostics: Iterable[Diagnostic]) -> CustomerPlan:
    """The configuration or the customer's reading failed: it is neither changed nor removed."""
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=Outcome.FAILED,
        precondition=PlanPrecondition(None, None, None),
        diagnostics=tuple(diagnostics),
    )


def build_unchanged_plan(
    customer_id: str,
    name: str,
    *,
    seen: PlanPrecondition,
    documents: Mapping[Kind, int],
    roster_applies: bool,
    diagnostics: Iterable[Diagnostic],
) -> CustomerPlan:
    """The same as `customer_plan` where no document differs and no roster is compared. documents: how many there are of
    each kind."""
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


def build_customer_plan(
    customer_id: str,
    name: str,
    *,
    seen: PlanPrecondition,
    declared: Iterable[Change],
    unchanged_documents: Mapping[Kind, int],
    settings: Mapping[str, object] | None,
    roster: RosterDecision | None = None,
    impact: Impact | None = None,
    roster_applies: bool = True,
    source: SourceSummary | None = None,
    snapshot: Mapping[str, pl.DataFrame] | None = None,
    facts: Mapping[str, object] | None = None,
    doubted: bool = False,
    diagnostics: Iterable[Diagnostic] = (),
    weakened: tuple[Weakening, ...] = (),
) -> CustomerPlan:
    """roster: None where no roster was compared. belongings: what goes with what leaves. facts: what later sources are
    judged by."""
    documents = hold_document_removals(declared)
    frames = dict(roster.changes) if roster else {}
    if impact is not None:
        frames = {kind: add_impact(kind, frame, impact) for kind, frame in frames.items()}
    limits = roster.limits if roster else ()
    held = build_hold(
        customer_id,
        documents,
        frames if roster_applies else {},
        (*_list_document_hold_causes(documents), *(roster.causes if roster else ())),
    )
    counts = {**_count_document_changes(documents, unchanged_documents), **(roster.counts if roster else {})}
    changes = any(each.changes for each in counts.values())
    outcome = Outcome.HELD if held else Outcome.CHANGES if changes else Outcome.UNCHANGED
    return CustomerPlan(
        id=customer_id,
        name=name,
        outcome=outcome,
        precondition=seen,
        source=source,
        hold=held,
        diagnostics=sort_diagnostics([*diagnostics, *(roster.diagnostics if roster else ())]),
        counts=counts,
        limits=limits,
        document_changes=documents,
        roster=frames,
        roster_applies=roster_applies,
        settings=settings,
        fingerprint_refresh=roster.refresh if roster and roster_applies else {},
        snapshot=snapshot or {},
        facts=facts or {},
        is_doubtful=doubted and held is not None,
        weakenings=weakened,
        would_hold=roster.causes if roster and not roster_applies else (),
    )


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


def _list_document_hold_causes(documents: Iterable[Change]) -> list[str]:
    held = {change.kind for change in documents if change.held}
    return [
        sentence
        for kind, sentence in ((Kind.CUSTOMER, CUSTOMER_REMOVAL_CAUSE), (Kind.COMMUNITY, COMMUNITY_REMOVAL_CAUSE))
        if kind in held
    ]
