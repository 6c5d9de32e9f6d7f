"""One customer's roster, decided: every change of orgs, people, classes and enrollments, with limits and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import ActionCounts, LimitUse
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.holding import (
    LEAVES_BY_ABSENCE,
    ActiveSeason,
    hold_absent_in_delta,
    hold_for_season,
    hold_last_of_roles,
)
from reconciler.planning.holds.identity import hold_identities
from reconciler.planning.holds.restrain import LimitRules, apply_limits, build_population
from reconciler.planning.live import LiveRoster, OpenEnrollments, add_roles
from reconciler.planning.roster.desired import DesiredRoster, drop_lost_orgs
from reconciler.planning.roster.matching import MATCH_COLUMNS, exclude_conflicts, get_account_value, match_users
from reconciler.planning.roster.merges import MergeEntry, MergePlan, add_merge_changes, hold_merge_halves_together
from reconciler.planning.roster.persons import add_canonical_ids
from reconciler.planning.roster.removals import (
    find_absent_enrollments,
    find_absent_people,
    find_absent_rows,
    find_ended_classes,
    find_possibly_selected,
    make_empty_sessions,
)
from reconciler.planning.roster.roster_diff import diff_rows, is_leaving, sort_for_report
from reconciler.planning.roster.selection import RosterSelection
from reconciler.planning.roster.sign_ins import preserve_sign_ins
from reconciler.planning.roster.usernames import UsernameResult, settle_usernames


@dataclass(frozen=True, slots=True)
class RosterRules:
    """What a customer's configuration says of its roster. reserved_usernames: its administrators', lower case.
    restraint: what may happen without a person's word. last_match_with: what the last roster was matched by; None where
    there was none. selection: which part of the roster is synced; None for all. season: today's, if it is in one.
    merges: accounts that people say are one person's."""

    match_with: str
    missing: str = "delete"
    protect: frozenset[str] = frozenset()
    reserved_usernames: frozenset[str] = frozenset()
    limit_rules: LimitRules = field(default_factory=LimitRules)
    last_match_with: str | None = None
    selection: RosterSelection | None = None
    season: ActiveSeason | None = None
    merges: tuple[MergeEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class RosterDecision:
    """changes: frames by kind, only kinds that change. aside: rows set aside, those of the snapshot included.
    causes: plain sentences for whatever holds something. matched_anew: somebody waits because `match_with` is another
    one than the last roster's."""

    changes: Mapping[Kind, pl.DataFrame]
    refresh: Mapping[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    counts: Mapping[Kind, ActionCounts]
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    causes: tuple[str, ...] = ()
    has_new_matches: bool = False


def decide_roster(
    desired: DesiredRoster,
    live: LiveRoster,
    open_enrollments: OpenEnrollments,
    rules: RosterRules,
    *,
    full_kinds: frozenset[Kind] = frozenset(ROSTER_KINDS),
    has_waiting_hold: bool = False,
    findings: tuple[GateFinding, ...] = (),
    sessions: pl.DataFrame | None = None,
    merge_plan: MergePlan | None = None,
) -> RosterDecision:
    """unsettled: what `unsettled_enrollments` left open; `live.enrollments` holds the live rows to it.

    whole: kinds whose absence from the source means something. waiting: an earlier roster holds something; then
    whoever is absent where that means nothing waits on, with all that depends on them. findings: of gates that hold.
    sessions:
    academic sessions (SESSIONS_SCHEMA) of this roster and of the last good one; without, no class has ended. merging:
    what `rules.merges` mean, with which `desired` was made.
    """
    merge_plan = merge_plan or MergePlan()
    desired = drop_lost_orgs(desired, live.orgs)
    everybody = add_roles(live.users, live.roles)
    users = merge_plan.exclude_merged(everybody)
    desired = exclude_conflicts(desired, users, rules.match_with)
    matched = match_users(desired.frames[Kind.USER], users, rules.match_with, desired.people_in_file)
    rekeyed = matched.users.filter(pl.col("match") == Action.REKEY.value)
    spared = preserve_sign_ins(matched.users, users)
    people = diff_rows(Kind.USER, spared.users, users)
    named = pl.concat(
        [
            _find_renamed_accounts(desired, users, rules, rekeyed),
            find_possibly_selected(desired, live.enrollments, users),
        ]
    )
    gone_people = find_absent_people(
        desired, users, live.roles, named, rules.missing, add_canonical_ids(rules.protect, users)
    )
    today = rules.limit_rules.today or None
    ended = find_ended_classes(live.classes, make_empty_sessions() if sessions is None else sessions, today)
    differences = {Kind.USER: people}
    gone = {Kind.USER: gone_people.changes}
    for kind in (Kind.ORG, Kind.CLASS):
        differences[kind] = diff_rows(
            kind, _match_by_key(desired.frames[kind], live.get_frame(kind)), live.get_frame(kind)
        )
        gone[kind] = find_absent_rows(kind, desired, live.get_frame(kind), ended if kind is Kind.CLASS else None)
    enrollments = _follow_rekeys(live.enrollments, rekeyed)
    wanted, dangling = _split_dangling_enrollments(open_enrollments.desired, desired, live, matched.users)
    differences[Kind.ENROLLMENT] = diff_rows(Kind.ENROLLMENT, _match_by_key(wanted, enrollments), enrollments)
    listed = frozenset(ROSTER_KINDS) if has_waiting_hold else full_kinds
    gone = {kind: _filter_evident(frame, kind in listed) for kind, frame in gone.items()}
    gone[Kind.ENROLLMENT] = find_absent_enrollments(
        desired,
        enrollments,
        gone[Kind.USER],
        gone[Kind.CLASS],
        gone_people.staying_ids,
        _find_earlier_ended_classes(ended, desired, live),
        today,
    )
    changes = {
        kind: pl.concat([_filter_evident(gone[kind], kind in listed), differences[kind].changes])
        for kind in ROSTER_KINDS
    }
    changes = dict(add_merge_changes(changes, merge_plan.pairs, everybody, live.enrollments))
    changes, still = hold_absent_in_delta(changes, full_kinds)
    changes, season = hold_for_season(changes, rules.season)
    unidentified = desired.unidentified | _find_unidentified_kinds(desired, users, rules)
    identities = hold_identities(changes, users, rules.match_with, rules.last_match_with)
    restrained = apply_limits(
        identities.changes, everybody, live, rules.limit_rules, unidentified=unidentified, findings=findings
    )
    settled = _settle_usernames_and_merges(restrained.changes, everybody, live, rules.reserved_usernames)
    aside = pl.concat([desired.quarantine, dangling, settled.quarantine])
    changed = settled.changes
    final = {kind: sort_for_report(frame) for kind, frame in changed.items() if frame.height}
    refresh = {kind: each.refresh for kind, each in differences.items()}
    refresh[Kind.ENROLLMENT] = _drop_unfollowed_refreshes(refresh[Kind.ENROLLMENT], enrollments, rekeyed, final)
    return RosterDecision(
        changes=final,
        refresh={kind: frame for kind, frame in refresh.items() if frame.height},
        limits=restrained.limits,
        counts=_count_changes(final, everybody, live, aside),
        quarantine=aside,
        causes=(*((season,) if season else ()), *still, *identities.causes, *restrained.causes),
        has_new_matches=identities.has_new_matches,
        diagnostics=(
            *desired.diagnostics,
            *merge_plan.diagnostics,
            *matched.diagnostics,
            *spared.diagnostics,
            *gone_people.diagnostics,
            *identities.diagnostics,
            *restrained.diagnostics,
            *_warn_unidentified_rows(unidentified, changes),
            *_warn_recycled_ids(final.get(Kind.USER)),
        ),
    )


def _settle_usernames_and_merges(
    changes: Mapping[Kind, pl.DataFrame], users: pl.DataFrame, live: LiveRoster, reserved: frozenset[str]
) -> UsernameResult:
    """Repeats until what one of the rules holds or refuses leaves nothing to another: each only adds to it."""
    aside: list[pl.DataFrame] = []
    whole = hold_merge_halves_together(changes)
    while True:
        settled = settle_usernames(whole, users, reserved)
        aside.append(settled.quarantine)
        changed = settled.changes
        if settled.quarantine.height:
            changed = hold_last_of_roles(changed, build_population(users, live).people)
        again = hold_merge_halves_together(changed)
        if all(again[kind].equals(changed[kind]) for kind in (Kind.USER, Kind.ENROLLMENT)):
            return UsernameResult(again, pl.concat(aside))
        whole = again


def _match_by_key(desired: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Desired rows with `id`, `match` and `former_key`, found by sourcedId alone."""
    return (
        desired.join(live.select("sourced_id", "id", "tombstoned"), on="sourced_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("id").is_null())
            .then(pl.lit(Action.CREATE.value))
            .when(pl.col("tombstoned"))
            .then(pl.lit(Action.RESTORE.value))
            .otherwise(pl.lit(Action.UPDATE.value))
            .alias("match"),
            pl.lit(None, dtype=pl.String).alias("former_key"),
        )
        .drop("tombstoned")
    )


def _follow_rekeys(enrollments: pl.DataFrame, rekeyed: pl.DataFrame) -> pl.DataFrame:
    """Live enrollments under the sourcedIds that their people have from now on: a rekey is no change of theirs."""
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
    """Enrollments whose person and class are there or will be; the others as rows set aside."""
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
    dangling = wanted.join(whole, on="sourced_id", how="anti").select(
        pl.lit(Kind.ENROLLMENT.value).alias("kind"),
        pl.col("sourced_id").alias("key"),
        pl.lit("enrollments.csv").alias("file"),
        "line",
        pl.lit(0, dtype=pl.Int64).alias("column"),
        pl.lit("refers-to-row-set-aside").alias("code"),
        pl.lit("its person or class is new and was itself set aside").alias("message"),
        pl.lit("correct that row; this one follows by itself").alias("hint"),
        *[pl.lit(None, dtype=pl.String).alias(name) for name in ("identifier", "email", "username")],
    )
    return whole, dangling


def _filter_evident(gone: pl.DataFrame, is_full: bool) -> pl.DataFrame:
    """Absence from a file of changes means nothing; what it marks as to be deleted does."""
    return gone if is_full else gone.filter(~LEAVES_BY_ABSENCE)


def _find_earlier_ended_classes(ended: pl.Series, desired: DesiredRoster, live: LiveRoster) -> pl.Series:
    """Classes that are over and went by an earlier run; what is left of their enrollments ended with them."""
    gone = live.classes.filter(pl.col("tombstoned") & pl.col("sourced_id").is_in(ended.implode()))["sourced_id"]
    return gone.filter(~gone.is_in(desired.frames[Kind.CLASS]["sourced_id"].implode()))


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


def _list_quarantined_strangers(desired: DesiredRoster, users: pl.DataFrame) -> pl.DataFrame:
    """Rows of people set aside whose sourcedId no account has: each may be an account's under another sourcedId."""
    aside = desired.quarantine.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    return aside.filter(~pl.col("key").is_in(users["sourced_id"].drop_nulls().implode()))


def _find_unidentified_kinds(desired: DesiredRoster, users: pl.DataFrame, rules: RosterRules) -> frozenset[Kind]:
    """Of a stranger set aside whose values cannot be read, nobody knows whose account it would have been."""
    if rules.match_with not in MATCH_COLUMNS or not users.height:
        return frozenset()
    unread = pl.all_horizontal(pl.col("identifier", "email", "username").is_null())
    return frozenset({Kind.USER}) if _list_quarantined_strangers(desired, users).filter(unread).height else frozenset()


def _find_renamed_accounts(
    desired: DesiredRoster, users: pl.DataFrame, rules: RosterRules, rekeyed: pl.DataFrame
) -> pl.Series:
    """Ids of accounts that this file has under another sourcedId: rekeyed, or by a row that was set aside."""
    column = MATCH_COLUMNS.get(rules.match_with)
    if column is None:
        return rekeyed["id"]
    values = _list_quarantined_strangers(desired, users)[
        "username" if column == "roster_username" else column
    ].drop_nulls()
    meant = users.filter(get_account_value(column).is_in(values.implode()).fill_null(False))["id"]
    return pl.concat([rekeyed["id"], meant])


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
