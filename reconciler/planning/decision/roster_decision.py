"""Decides one customer's roster: every change of orgs, people, classes and enrollments, with limits and holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import ActionCounts, LimitUse
from reconciler.planning.decision.comparison import (
    RosterDraft,
    diff_kinds,
    list_quarantined_strangers,
    match_people,
    merge_accounts,
    remove_absent,
)
from reconciler.planning.decision.inputs import RosterInputs, RosterRules
from reconciler.planning.decision.seeming_leavers import warn_seeming_leavers
from reconciler.planning.frames.change_frame import sort_for_report
from reconciler.planning.frames.counts import count_changes
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.order import hold_changes, settle_changes
from reconciler.planning.holds.rules import MatchRules
from reconciler.planning.holds.state import HoldInputs, HoldState
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.matching import MATCH_COLUMNS
from reconciler.planning.roster.role_dates import ROLE_TO_COME


@dataclass(frozen=True, slots=True)
class RosterDecision:
    """The decision on one customer's roster."""

    #: change frames by kind, in the order of reports; only kinds that change
    changes: Mapping[Kind, pl.DataFrame]
    #: `live_id`, `fingerprint` of rows with the desired values but another fingerprint, by kind
    refresh: Mapping[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    counts: Mapping[Kind, ActionCounts]
    #: rows that are not used, those of the snapshot included
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    #: one plain sentence for each rule that holds something
    causes: tuple[str, ...] = ()
    #: people are held because `match_with` differs from the last roster's
    has_new_matches: bool = False


def decide_roster(inputs: RosterInputs) -> RosterDecision:
    """Compare a roster with the store, hold the changes that need approval and settle the others."""
    draft = match_people(inputs)
    draft = diff_kinds(draft)
    draft = remove_absent(draft)
    draft = merge_accounts(draft)
    state = hold_changes(draft.changes, _build_hold_inputs(draft))
    state = settle_changes(state)
    return _build_decision(draft, state)


def _build_hold_inputs(draft: RosterDraft) -> HoldInputs:
    rules = draft.inputs.rules
    return HoldInputs(
        users=draft.accounts,
        live=replace(draft.inputs.live, enrollments=draft.enrollments),
        rules=rules.limit_rules,
        unidentified=draft.desired.unidentified | _find_unidentified_kinds(draft.desired, draft.users, rules),
        findings=draft.inputs.findings,
        full_kinds=draft.inputs.full_kinds,
        season=rules.season,
        matching=MatchRules(rules.match_with, rules.last_match_with, draft.users),
        reserved_usernames=rules.reserved_usernames,
    )


def _build_decision(draft: RosterDraft, state: HoldState) -> RosterDecision:
    changes = {kind: sort_for_report(frame) for kind, frame in state.changes.items() if frame.height}
    refresh = {kind: diff.refresh for kind, diff in draft.diffs.items()}
    refresh[Kind.ENROLLMENT] = _drop_unfollowed_refreshes(
        refresh[Kind.ENROLLMENT], draft.enrollments, draft.rekeyed, changes
    )
    quarantine = pl.concat([draft.quarantine, state.quarantine])
    counts = {
        kind: replace(count, quarantined=quarantine.filter(pl.col("kind") == kind.value).height)
        for kind, count in count_changes(changes, draft.inputs.live).items()
    }
    return RosterDecision(
        changes=changes,
        refresh={kind: frame for kind, frame in refresh.items() if frame.height},
        limits=state.limits,
        counts=counts,
        quarantine=quarantine,
        causes=state.causes,
        has_new_matches=state.has_new_matches,
        diagnostics=(
            *draft.diagnostics,
            *state.diagnostics,
            *_warn_unidentified_rows(state.inputs.unidentified, draft.changes),
            *_warn_recycled_ids(changes.get(Kind.USER)),
            *warn_seeming_leavers(changes.get(Kind.USER), draft.desired),
        ),
    )


def _find_unidentified_kinds(desired: DesiredRoster, users: pl.DataFrame, rules: RosterRules) -> frozenset[Kind]:
    """Return people as unidentified if a quarantined stranger has no readable value: its account is unknown."""
    if rules.match_with not in MATCH_COLUMNS or not users.height:
        return frozenset()
    unread = pl.all_horizontal(pl.col("identifier", "email", "username").is_null())
    # A bad row of roles.csv hides nothing of its person: what identifies somebody is in users.csv. Neither does a role
    # that has not begun.
    is_bad = (pl.col("file") == "users.csv") & (pl.col("code") != ROLE_TO_COME)
    strangers = list_quarantined_strangers(desired, users).filter(is_bad & unread)
    return frozenset({Kind.USER}) if strangers.height else frozenset()


def _drop_unfollowed_refreshes(
    refresh: pl.DataFrame, enrollments: pl.DataFrame, rekeyed: pl.DataFrame, final: Mapping[Kind, pl.DataFrame]
) -> pl.DataFrame:
    """Drop enrollments of people whose new ID is held or refused: they keep the fingerprint of the old one."""
    if not rekeyed.height or not refresh.height:
        return refresh
    users = final.get(Kind.USER)
    applied = users.filter(~pl.col("held"))["key"] if users is not None else rekeyed["sourced_id"].clear()
    waiting = rekeyed["sourced_id"].filter(~rekeyed["sourced_id"].is_in(applied.implode()))
    theirs = enrollments.filter(pl.col("user").is_in(waiting.implode()))["id"]
    return refresh.filter(~pl.col("live_id").is_in(theirs.implode()))


def _warn_recycled_ids(users: pl.DataFrame | None) -> tuple[Diagnostic, ...]:
    """Warn of sourcedIds that return with another name and another identifier: they may be another person's now."""
    if users is None:
        return ()
    other = pl.all_horizontal(
        [pl.col(name).ne_missing(pl.col(f"before_{name}")) for name in ("given_name", "family_name", "identifier")]
    )
    restored = users.filter((pl.col("action") == Action.RESTORE.value) & pl.col("former_key").is_null() & other)
    if not restored.height:
        return ()
    return (
        build_warning(
            "recycled-sourced-id",
            f"{restored.height:,} people return with a different name and identifier",
            Span("users.csv", int(restored["line"].sort()[0])),
            "Check that no sourcedId was reassigned: the new person would get the old account and its work.",
        ),
    )


def _warn_unidentified_rows(kinds: frozenset[Kind], changes: Mapping[Kind, pl.DataFrame]) -> tuple[Diagnostic, ...]:
    diagnostics = []
    for kind in ROSTER_KINDS:
        if kind in kinds:
            number = changes[kind].filter(is_leaving(kind)).height
            effect = f"all {number:,} deletions of {kind.plural} are held" if number else "there is nothing to hold"
            diagnostics.append(
                build_warning(
                    "unidentified-row",
                    f"a quarantined row could mean any of the {kind.plural}; {effect}",
                    Span(f"{kind.plural}.csv"),
                    "Correct the quarantined rows and plan again.",
                )
            )
    return tuple(diagnostics)
