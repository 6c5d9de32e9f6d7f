"""Decides one customer's roster: every change of orgs, people, classes and enrollments, with limits and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from reconciler.planning.frames.change_frame import sort_for_report
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.order import hold_changes, settle_changes
from reconciler.planning.holds.rules import MatchRules
from reconciler.planning.holds.state import HoldInputs, HoldState
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.matching import MATCH_COLUMNS


@dataclass(frozen=True, slots=True)
class RosterDecision:
    """Everything that a plan says of one customer's roster."""

    #: change frames by kind, in the order of reports; only kinds that change
    changes: Mapping[Kind, pl.DataFrame]
    #: `live_id`, `fingerprint` of rows that are as they should be but whose fingerprint is not, by kind
    refresh: Mapping[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    counts: Mapping[Kind, ActionCounts]
    #: rows that are not used, those of the snapshot included
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    #: one plain sentence for each rule that holds something
    causes: tuple[str, ...] = ()
    #: somebody waits because `match_with` is not the last roster's
    has_new_matches: bool = False


def decide_roster(inputs: RosterInputs) -> RosterDecision:
    """Compare a roster with the store, hold what needs approval and settle what is left."""
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
        live=draft.inputs.live,
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
    return RosterDecision(
        changes=changes,
        refresh={kind: frame for kind, frame in refresh.items() if frame.height},
        limits=state.limits,
        counts=_count_changes(changes, draft.accounts, draft.inputs.live, quarantine),
        quarantine=quarantine,
        causes=state.causes,
        has_new_matches=state.has_new_matches,
        diagnostics=(
            *draft.diagnostics,
            *state.diagnostics,
            *_warn_unidentified_rows(state.inputs.unidentified, draft.changes),
            *_warn_recycled_ids(changes.get(Kind.USER)),
        ),
    )


def _find_unidentified_kinds(desired: DesiredRoster, users: pl.DataFrame, rules: RosterRules) -> frozenset[Kind]:
    """Of a stranger set aside whose values cannot be read, nobody knows whose account it would have been."""
    if rules.match_with not in MATCH_COLUMNS or not users.height:
        return frozenset()
    unread = pl.all_horizontal(pl.col("identifier", "email", "username").is_null())
    return frozenset({Kind.USER}) if list_quarantined_strangers(desired, users).filter(unread).height else frozenset()


def _drop_unfollowed_refreshes(
    refresh: pl.DataFrame, enrollments: pl.DataFrame, rekeyed: pl.DataFrame, final: Mapping[Kind, pl.DataFrame]
) -> pl.DataFrame:
    """Enrollments of people whose rekey is held or refused keep the fingerprint of their old sourcedId."""
    if not rekeyed.height or not refresh.height:
        return refresh
    users = final.get(Kind.USER)
    done = users.filter(~pl.col("held"))["key"] if users is not None else rekeyed["sourced_id"].clear()
    undone = rekeyed["sourced_id"].filter(~rekeyed["sourced_id"].is_in(done.implode()))
    theirs = enrollments.filter(pl.col("user").is_in(undone.implode()))["id"]
    return refresh.filter(~pl.col("live_id").is_in(theirs.implode()))


def _count_changes(
    changes: Mapping[Kind, pl.DataFrame], users: pl.DataFrame, live: LiveRoster, quarantine: pl.DataFrame
) -> dict[Kind, ActionCounts]:
    """unchanged: live rows that stay exactly as they are."""
    alive = {
        Kind.ORG: live.orgs.filter(~pl.col("tombstoned")).height,
        Kind.USER: users.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null()).height,
        Kind.CLASS: live.classes.filter(~pl.col("tombstoned")).height,
        Kind.ENROLLMENT: live.enrollments_total,
    }
    newly_bound = {Action.CREATE.value, Action.RESTORE.value, Action.ADOPT.value}
    counts = {}
    for kind in ROSTER_KINDS:
        frame = changes.get(kind)
        actions: dict[Action, int] = {}
        touched = held = 0
        if frame is not None:
            by_action = dict(frame.group_by("action").len().iter_rows())
            actions = {action: by_action[action.value] for action in Action if action.value in by_action}
            touched = sum(number for action, number in actions.items() if action.value not in newly_bound)
            held = int(frame["held"].sum())
        counts[kind] = ActionCounts(
            actions,
            unchanged=alive[kind] - touched,
            quarantined=quarantine.filter(pl.col("kind") == kind.value).height,
            held=held,
        )
    return counts


def _warn_recycled_ids(users: pl.DataFrame | None) -> tuple[Diagnostic, ...]:
    """A sourcedId that comes back with another name and another identifier may be somebody else's now."""
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
            f"{restored.height:,} people who return have another name and identifier than before",
            Span("users.csv", int(restored["line"].sort()[0])),
            "if a sourcedId was given to somebody else, that person would get the old account and its work",
        ),
    )


def _warn_unidentified_rows(kinds: frozenset[Kind], changes: Mapping[Kind, pl.DataFrame]) -> tuple[Diagnostic, ...]:
    found = []
    for kind in ROSTER_KINDS:
        if kind in kinds:
            number = changes[kind].filter(is_leaving(kind)).height
            effect = f"all {number:,} deletions of {kind.plural} are held" if number else "nothing had to be held"
            found.append(
                build_warning(
                    "unidentified-row",
                    f"a row was set aside that may speak of any of the {kind.plural}; {effect}",
                    Span(f"{kind.plural}.csv"),
                    "correct the rows set aside and plan again",
                )
            )
    return tuple(found)
