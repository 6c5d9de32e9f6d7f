"""Builds the desired roster of a snapshot, with the rows of one person combined and merges settled."""

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.desired import DesiredRoster, build_desired_roster
from reconciler.planning.roster.merges import MergePlan, settle_merges
from reconciler.planning.roster.persons import combine_person_rows
from reconciler.planning.roster.placement import adopt_schools_without_parent, cut_cycles


@dataclass(frozen=True, slots=True)
class DesiredPeople:
    """A desired roster and the merges that it was built with."""

    #: with one row for each person
    desired: DesiredRoster
    merge_plan: MergePlan
    #: of the combined rows and of schools without a parent
    diagnostics: tuple[Diagnostic, ...]


def build_desired_people(
    snapshot: Snapshot,
    live: LiveRoster,
    rules: RosterRules,
    client_partner_id: str,
    suffix: str | None = None,
    known_orgs: pl.Series | None = None,
) -> DesiredPeople:
    """Return the roster that a snapshot wants, with one row for each person.

    `live` has the customer's rows, tombstones included; `known_orgs` the sourcedIds of its orgs. Raises Refusal as
    `build_desired_roster` does. Only the full desired roster shows that it has neither person of a merge; their
    rows are then compared again, each one separately.
    """
    snapshot = cut_cycles(snapshot)
    adopted: tuple[Diagnostic, ...] = ()
    if rules.schools_without_parent == "ours":
        snapshot, adopted = adopt_schools_without_parent(snapshot, client_partner_id)
    merge_plan = settle_merges(rules.merges, snapshot, live, rules.protect)
    while True:
        others = merge_plan.exclude_merged(live.users)
        aliases = merge_plan.aliases if merge_plan.aliases.height else None
        persons = combine_person_rows(snapshot, others, rules.match_with, client_partner_id, known_orgs, aliases)
        desired = build_desired_roster(
            persons.snapshot, client_partner_id, suffix, known_orgs, rules.selection, rules.limit_rules.today or None
        )
        restricted = merge_plan.restrict_to_desired(desired)
        if restricted is merge_plan:
            return DesiredPeople(desired, merge_plan, (*adopted, *persons.diagnostics))
        merge_plan = restricted
