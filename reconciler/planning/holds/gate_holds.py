"""Holds the changes that the findings of gates cast doubt on."""

from collections.abc import Mapping

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.frames.losses import is_leaving, is_taken_away, is_vanishing
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.state import HoldState, LivePopulation


def hold_by_gates(state: HoldState) -> HoldState:
    """Hold the losses of each finding's kinds (of its orgs alone if it names some), or every change."""
    for finding in state.inputs.findings:
        if finding.reasons:
            state = state.hold_where(Kind.USER, pl.col("reason").is_in(finding.reasons))
        for kind in ROSTER_KINDS:
            doubted = _match_doubted_rows(kind, finding, state.population)
            state = state if doubted is None else state.hold_where(kind, doubted)
    sentences = [finding.sentence for finding in state.inputs.findings if _holds_anything(finding, state.changes)]
    # Two files that are shorter than before give the same sentence.
    return state.add_causes(*dict.fromkeys(sentences))


def _match_doubted_rows(kind: Kind, finding: GateFinding, live: LivePopulation) -> pl.Expr | None:
    if finding.holds_everything:
        return pl.lit(True)
    if kind not in finding.kinds:
        return None
    if finding.orgs is None:
        return is_taken_away(kind)
    theirs = is_vanishing(kind) & _match_rows_of_orgs(kind, finding.orgs, live)
    return theirs | _match_lost_org_places(finding.orgs) if kind is Kind.USER else theirs


def _match_rows_of_orgs(kind: Kind, orgs: tuple[str, ...], live: LivePopulation) -> pl.Expr:
    if kind is Kind.USER:
        theirs = live.roles.filter(pl.col("org").is_in(orgs))["account_id"].unique()
        return pl.col("live_id").is_in(theirs.implode())
    if kind is Kind.ENROLLMENT:
        # Enrollments wait with their people and classes.
        return pl.lit(False)
    return pl.col("before_school" if kind is Kind.CLASS else "key").is_in(orgs).fill_null(False)


def _match_lost_org_places(orgs: tuple[str, ...]) -> pl.Expr:
    """Select people who stay and would lose their roles in one of these orgs."""

    def names(column: str, org: str) -> pl.Expr:
        entries = pl.lit(ROLE_SEPARATOR) + pl.col(column).fill_null("")
        return entries.str.contains(f"{ROLE_SEPARATOR}{org}=", literal=True)

    return pl.any_horizontal([names("before_roles", org) & ~names("roles", org) for org in orgs])


def _holds_anything(finding: GateFinding, changes: Mapping[Kind, pl.DataFrame]) -> bool:
    if finding.holds_everything:
        return any(changes[kind]["held"].any() for kind in ROSTER_KINDS)
    waiting = {kind: changes[kind].filter("held") for kind in ROSTER_KINDS}
    if any(waiting[kind].filter(is_leaving(kind)).height for kind in ROSTER_KINDS if kind in finding.kinds):
        return True
    by_reason = pl.col("reason").is_in(finding.reasons) if finding.reasons else pl.lit(False)
    return waiting[Kind.USER].filter(by_reason).height > 0
