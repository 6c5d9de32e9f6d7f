"""Compares a roster with the store in four steps: match, diff, remove, merge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.text_form import make_comparison_column
from reconciler.planning.decision.inputs import RosterInputs, RosterRules
from reconciler.planning.frames.live import LiveRoster, add_roles
from reconciler.planning.holds.delta_absence import LEAVES_BY_ABSENCE
from reconciler.planning.roster.desired import DesiredRoster, drop_lost_orgs
from reconciler.planning.roster.enrollments import (
    mark_repeated_moves,
    mark_repeated_removals,
    match_renamed_enrollments,
)
from reconciler.planning.roster.matching import (
    MATCH_COLUMNS,
    choose_bound_action,
    exclude_conflicts,
    get_account_value,
    match_users,
    warn_few_match_values,
)
from reconciler.planning.roster.merges import add_merge_changes
from reconciler.planning.roster.persons import add_canonical_ids
from reconciler.planning.roster.quarantine import build_quarantine_rows
from reconciler.planning.roster.removals import (
    find_absent_enrollments,
    find_absent_people,
    find_absent_rows,
    find_ended_classes,
    find_possibly_selected,
)
from reconciler.planning.roster.roster_diff import RowDiff, diff_rows
from reconciler.planning.roster.sign_ins import preserve_sign_ins


@dataclass(frozen=True, slots=True)
class RosterDraft:
    """A roster's changes while they are computed: each step fills in the fields that the next ones need."""

    inputs: RosterInputs
    #: the desired roster without conflicting rows
    desired: DesiredRoster
    #: all live users with `roles`, tombstones included
    accounts: pl.DataFrame
    #: `accounts` without those that are merged into another one
    users: pl.DataFrame
    #: desired people with `id`, `match` and `former_key`
    matched: pl.DataFrame
    #: the rows of `matched` that give an account another sourcedId
    rekeyed: pl.DataFrame
    #: live enrollments under the new sourcedIds of their people
    enrollments: pl.DataFrame
    #: rows that are not used (QUARANTINE_SCHEMA)
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    diffs: Mapping[Kind, RowDiff] = field(default_factory=dict)
    #: change frames of every roster kind
    changes: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)


def match_people(inputs: RosterInputs) -> RosterDraft:
    """Find the account of every person in the roster, by sourcedId or by `match_with`."""
    accounts = add_roles(inputs.live.users, inputs.live.roles)
    users = inputs.merge_plan.exclude_merged(accounts)
    desired = exclude_conflicts(drop_lost_orgs(inputs.desired, inputs.live.orgs), users, inputs.rules.match_with)
    matches = match_users(desired.frames[Kind.USER], users, inputs.rules.match_with, desired.people_in_file)
    spared = preserve_sign_ins(matches.users, users)
    rekeyed = matches.users.filter(pl.col("match") == Action.REKEY.value)
    return RosterDraft(
        inputs,
        desired,
        accounts,
        users,
        matched=spared.users,
        rekeyed=rekeyed,
        enrollments=_follow_rekeys(inputs.live.enrollments, rekeyed),
        quarantine=desired.quarantine,
        diagnostics=(
            *desired.diagnostics,
            *inputs.merge_plan.diagnostics,
            *matches.diagnostics,
            *warn_few_match_values(desired.frames[Kind.USER], inputs.rules.match_with),
            *spared.diagnostics,
        ),
    )


def diff_kinds(draft: RosterDraft) -> RosterDraft:
    """Compare the roster's rows of every kind with the store, field by field."""
    live = draft.inputs.live
    wanted, dangling = _split_dangling_enrollments(
        draft.inputs.open_enrollments.desired, draft.desired, live, draft.matched
    )
    diffs = {Kind.USER: diff_rows(Kind.USER, draft.matched, draft.users)}
    for kind, rows, known in (
        (Kind.ORG, draft.desired.frames[Kind.ORG], live.orgs),
        (Kind.CLASS, draft.desired.frames[Kind.CLASS], live.classes),
        (Kind.ENROLLMENT, wanted, draft.enrollments),
    ):
        matched = _match_by_key(rows, known)
        if kind is Kind.ENROLLMENT:
            matched = match_renamed_enrollments(matched, known, _list_named_enrollments(draft))
        diffs[kind] = diff_rows(kind, matched, known)
    return replace(
        draft,
        diffs=diffs,
        changes={kind: diffs[kind].changes for kind in ROSTER_KINDS},
        quarantine=pl.concat([draft.quarantine, dangling]),
    )


def remove_absent(draft: RosterDraft) -> RosterDraft:
    """Add the removals of rows that the roster no longer has or wants; in a delta roster, absence means nothing."""
    inputs, desired, live = draft.inputs, draft.desired, draft.inputs.live
    ended = find_ended_classes(live.classes, inputs.sessions, inputs.today)
    people = find_absent_people(
        desired,
        draft.users,
        live.roles,
        _find_ids_to_spare(draft),
        inputs.rules.missing,
        add_canonical_ids(inputs.rules.protect, draft.users),
    )
    listed = frozenset(ROSTER_KINDS) if inputs.has_waiting_hold else inputs.full_kinds
    removals = {
        Kind.ORG: _filter_evident(find_absent_rows(Kind.ORG, desired, live.orgs), Kind.ORG in listed),
        Kind.USER: _filter_evident(people.changes, Kind.USER in listed),
        Kind.CLASS: _filter_evident(find_absent_rows(Kind.CLASS, desired, live.classes, ended), Kind.CLASS in listed),
    }
    enrollments = find_absent_enrollments(
        desired,
        _exclude_renamed(draft),
        removals[Kind.USER],
        removals[Kind.CLASS],
        people.staying_ids,
        _find_earlier_ended_classes(ended, desired, live),
        inputs.today,
    )
    enrollments = mark_repeated_removals(enrollments, desired.frames[Kind.ENROLLMENT], inputs.merge_plan.aliases)
    removals[Kind.ENROLLMENT] = _filter_evident(enrollments, Kind.ENROLLMENT in listed)
    return replace(
        draft,
        changes={kind: pl.concat([removals[kind], draft.changes[kind]]) for kind in ROSTER_KINDS},
        diagnostics=(*draft.diagnostics, *people.diagnostics),
    )


def merge_accounts(draft: RosterDraft) -> RosterDraft:
    """Add the changes that merge one account into another."""
    inputs = draft.inputs
    pairs = inputs.merge_plan.pairs
    changes = add_merge_changes(draft.changes, pairs, draft.accounts, inputs.live.enrollments)
    enrollments = mark_repeated_moves(changes[Kind.ENROLLMENT], draft.desired.frames[Kind.ENROLLMENT], pairs)
    return replace(draft, changes={**changes, Kind.ENROLLMENT: enrollments})


def _match_by_key(desired: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Return the desired rows with `id`, `match` and `former_key`, matched by sourcedId alone."""
    return (
        desired.join(live.select("sourced_id", "id", "tombstoned"), on="sourced_id", how="left", maintain_order="left")
        .with_columns(choose_bound_action(), pl.lit(None, dtype=pl.String).alias("former_key"))
        .drop("tombstoned")
    )


def _list_named_enrollments(draft: RosterDraft) -> pl.Series:
    """Return the sourcedIds of enrollments in the file whose live row is open: desired or quarantined."""
    wanted = draft.inputs.open_enrollments.desired["sourced_id"]
    return pl.concat([wanted, draft.desired.list_protected(Kind.ENROLLMENT).alias("sourced_id")])


def _exclude_renamed(draft: RosterDraft) -> pl.DataFrame:
    """Return the live enrollments without those that the file has under a new sourcedId."""
    changes = draft.changes[Kind.ENROLLMENT]
    renamed = changes.filter(pl.col("action") == Action.REKEY.value)
    return draft.enrollments.join(renamed, left_on="id", right_on="live_id", how="anti", maintain_order="left")


def _follow_rekeys(enrollments: pl.DataFrame, rekeyed: pl.DataFrame) -> pl.DataFrame:
    """Return live enrollments under the new sourcedIds of their people: a new ID changes no enrollment."""
    if not rekeyed.height or not enrollments.height:
        return enrollments
    names = rekeyed.select(pl.col("former_key").alias("user"), pl.col("sourced_id").alias("new_user"))
    return (
        enrollments.join(names, on="user", how="left", maintain_order="left")
        .with_columns(pl.coalesce("new_user", "user").alias("user"))
        .drop("new_user")
    )


def _split_dangling_enrollments(
    wanted: pl.DataFrame, desired: DesiredRoster, live: LiveRoster, users: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the enrollments whose person and class exist or will exist, and the others as quarantined rows."""
    if not wanted.height:
        return wanted, desired.quarantine.clear()
    alive_users = live.users.filter(~pl.col("tombstoned"))["sourced_id"].drop_nulls()
    alive_classes = live.classes.filter(~pl.col("tombstoned"))["sourced_id"]
    known_users = pl.concat([users["sourced_id"], alive_users]).unique().alias("user").to_frame()
    known_classes = (
        pl.concat([desired.frames[Kind.CLASS]["sourced_id"], alive_classes]).unique().alias("class").to_frame()
    )
    whole = wanted.join(known_users, on="user", how="semi", maintain_order="left").join(
        known_classes, on="class", how="semi", maintain_order="left"
    )
    if whole.height == wanted.height:
        return wanted, desired.quarantine.clear()
    expected = pl.col("user").is_in(desired.people_to_come["key"].implode())
    dangling = build_quarantine_rows(
        Kind.ENROLLMENT,
        wanted.join(whole, on="sourced_id", how="anti").filter(~expected),
        "sourced_id",
        "refers-to-row-set-aside",
        pl.lit("the row of its new person or class is quarantined"),
        "Correct that row; this one then needs no correction.",
    )
    return whole, dangling


def _filter_evident(removals: pl.DataFrame, is_full: bool) -> pl.DataFrame:
    """Keep the removals that the source shows: absence from a delta roster means nothing, a deletion mark does."""
    return removals if is_full else removals.filter(~LEAVES_BY_ABSENCE)


def _find_earlier_ended_classes(ended: pl.Series, desired: DesiredRoster, live: LiveRoster) -> pl.Series:
    """Return ended classes that an earlier run removed; the enrollments that they still have ended with them."""
    gone = live.classes.filter(pl.col("tombstoned") & pl.col("sourced_id").is_in(ended.implode()))["sourced_id"]
    return gone.filter(~gone.is_in(desired.frames[Kind.CLASS]["sourced_id"].implode()))


def _find_ids_to_spare(draft: RosterDraft) -> pl.Series:
    """Return ids of absent accounts that this roster has under another sourcedId, or may select."""
    renamed = _find_renamed_accounts(draft.desired, draft.users, draft.inputs.rules, draft.rekeyed)
    return pl.concat([renamed, find_possibly_selected(draft.desired, draft.inputs.live.enrollments, draft.users)])


def _find_renamed_accounts(
    desired: DesiredRoster, users: pl.DataFrame, rules: RosterRules, rekeyed: pl.DataFrame
) -> pl.Series:
    """Return ids of accounts that this file has under another sourcedId: in a matched or in a quarantined row."""
    column = MATCH_COLUMNS.get(rules.match_with)
    if column is None:
        return rekeyed["id"]
    strangers = list_quarantined_strangers(desired, users)
    values = make_comparison_column(strangers["username" if column == "roster_username" else column]).drop_nulls()
    meant = users.filter(get_account_value(column).is_in(values.implode()).fill_null(False))["id"]
    return pl.concat([rekeyed["id"], meant])


def list_quarantined_strangers(desired: DesiredRoster, users: pl.DataFrame) -> pl.DataFrame:
    """Return people in rows that are set aside, whose sourcedId no account has; each may have an account under another
    one."""
    people = desired.rows_set_aside.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    return people.filter(~pl.col("key").is_in(users["sourced_id"].drop_nulls().implode()))
