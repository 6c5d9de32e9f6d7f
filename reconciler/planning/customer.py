"""One customer's plan, put together from what was decided about its documents and its roster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from reconciler.model.change import Action, Change, action_of
from reconciler.model.diagnostic import Diagnostic, in_order
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import Counts, CustomerPlan, LimitUse, Outcome, Seen, SourceSummary
from reconciler.planning.holding import hold, hold_declared, leaving
from reconciler.planning.impact import Belongings, with_impact
from reconciler.planning.roster import RosterDecision

CUSTOMER_GOES = "A customer would be removed; nobody of it could sign in any more."
COMMUNITY_GOES = "A community would be removed; its people would lose its lessons."


def refused_plan(
    customer: str, name: str, seen: Seen, diagnostics: Iterable[Diagnostic], source: SourceSummary | None = None
) -> CustomerPlan:
    """The source was refused whole: nothing is planned for this customer."""
    return CustomerPlan(
        id=customer, name=name, outcome=Outcome.REFUSED, seen=seen, source=source, diagnostics=tuple(diagnostics)
    )


def failed_plan(customer: str, name: str, diagnostics: Iterable[Diagnostic]) -> CustomerPlan:
    """The configuration or the customer's reading failed: it is neither changed nor removed."""
    return CustomerPlan(
        id=customer,
        name=name,
        outcome=Outcome.FAILED,
        seen=Seen(None, None, None),
        diagnostics=tuple(diagnostics),
    )


def customer_plan(
    customer: str,
    name: str,
    *,
    seen: Seen,
    declared: Iterable[Change],
    unchanged_documents: Mapping[Kind, int],
    settings: Mapping[str, object] | None,
    roster: RosterDecision | None = None,
    belongings: Belongings | None = None,
    roster_applies: bool = True,
    source: SourceSummary | None = None,
    snapshot: Mapping[str, pl.DataFrame] | None = None,
    diagnostics: Iterable[Diagnostic] = (),
) -> CustomerPlan:
    """roster: None where no roster was compared. belongings: what goes with what leaves."""
    documents = hold_declared(declared)
    frames = dict(roster.changes) if roster else {}
    if belongings is not None:
        frames = {kind: with_impact(kind, frame, belongings) for kind, frame in frames.items()}
    limits = roster.limits if roster else ()
    held = hold(
        customer,
        documents,
        frames if roster_applies else {},
        (*_declared_causes(documents), *(_roster_causes(roster, frames) if roster else ())),
    )
    counts = {**_document_counts(documents, unchanged_documents), **(roster.counts if roster else {})}
    changes = any(each.changes for each in counts.values())
    outcome = Outcome.HELD if held else Outcome.CHANGES if changes else Outcome.UNCHANGED
    return CustomerPlan(
        id=customer,
        name=name,
        outcome=outcome,
        seen=seen,
        source=source,
        hold=held,
        diagnostics=in_order([*diagnostics, *(roster.diagnostics if roster else ())]),
        counts=counts,
        limits=limits,
        declared=documents,
        roster=frames,
        roster_applies=roster_applies,
        settings=settings,
        refresh=roster.refresh if roster and roster_applies else {},
        snapshot=snapshot or {},
    )


def _document_counts(documents: Iterable[Change], unchanged: Mapping[Kind, int]) -> dict[Kind, Counts]:
    counts = {}
    for kind in DECLARED_KINDS:
        actions: dict[Action, int] = {}
        held = 0
        for change in documents:
            if change.kind is kind:
                action = action_of(change)
                actions[action] = actions.get(action, 0) + 1
                held += change.held
        if actions or unchanged.get(kind):
            counts[kind] = Counts(actions, unchanged=unchanged.get(kind, 0), held=held)
    return counts


def _declared_causes(documents: Iterable[Change]) -> list[str]:
    held = {change.kind for change in documents if change.held}
    return [
        sentence
        for kind, sentence in ((Kind.CUSTOMER, CUSTOMER_GOES), (Kind.COMMUNITY, COMMUNITY_GOES))
        if kind in held
    ]


def _roster_causes(roster: RosterDecision, frames: Mapping[Kind, pl.DataFrame]) -> list[str]:
    """One plain sentence for each limit or rule that holds something."""
    causes = [limit_sentence(limit) for limit in roster.limits if limit.exceeded]
    for kind in ROSTER_KINDS:
        frame = frames.get(kind)
        if kind in roster.unidentified and frame is not None and frame.filter(leaving(kind) & pl.col("held")).height:
            causes.append(
                f"A row that was set aside may speak of any of the {kind.plural}, so none of them is removed."
            )
    for role in roster.roles_left_empty:
        causes.append(f"Nobody with the role {role} would be left.")
    orgs = frames.get(Kind.ORG)
    if orgs is not None and orgs.filter(leaving(Kind.ORG) & pl.col("held")).height:
        causes.append("A school or other org would be removed while people or classes still belong to it.")
    return causes


def limit_sentence(limit: LimitUse) -> str:
    """For people who are no programmers."""
    if limit.scope.startswith("org:"):
        school = limit.scope.removeprefix("org:")
        who = f"{limit.label} ({school})" if limit.label != school else school
        if limit.seen == limit.of:
            return f"{who} would lose everyone: {limit.seen:,} of {limit.of:,}."
        return f"{who} would lose {limit.seen:,} of {limit.of:,} people; at most {limit.allowed:,} may go at once."
    what = "people" if limit.kind is Kind.USER else limit.kind.plural
    return f"{limit.seen:,} of {limit.of:,} {what} would go; at most {limit.allowed:,} may go at once."
