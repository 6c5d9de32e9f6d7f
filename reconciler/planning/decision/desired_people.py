"""Whom a snapshot wants, once rows that mean one person are put together: by the store, by their values, by people."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.desired import DesiredRoster, build_desired_roster
from reconciler.planning.roster.merges import MergePlan, settle_merges
from reconciler.planning.roster.persons import combine_person_rows


@dataclass(frozen=True, slots=True)
class DesiredPeople:
    """desired: with one row for each person. merging: which accounts are put together. diagnostics: of rows."""

    desired: DesiredRoster
    merge_plan: MergePlan
    diagnostics: tuple[Diagnostic, ...]


def build_desired_people(
    snapshot: Snapshot,
    live: LiveRoster,
    rules: RosterRules,
    client_partner_id: str,
    suffix: str | None = None,
    known_orgs: pl.Series | None = None,
) -> DesiredPeople:
    """live: of the customer, tombstones included. known_orgs: sourcedIds of its orgs. Raises Refusal as `desire`.

    Only the whole roster tells whether it wants somebody of a merge; of whom it wants nobody, the rows are looked at
    once more, each by itself.
    """
    merging = settle_merges(rules.merges, snapshot, live, rules.protect)
    while True:
        others = merging.exclude_merged(live.users)
        merged = merging.aliases if merging.aliases.height else None
        persons = combine_person_rows(snapshot, others, rules.match_with, client_partner_id, known_orgs, merged)
        desired = build_desired_roster(persons.snapshot, client_partner_id, suffix, known_orgs, rules.selection)
        settled = merging.restrict_to_desired(desired)
        if settled is merging:
            return DesiredPeople(desired, merging, persons.diagnostics)
        merging = settled
