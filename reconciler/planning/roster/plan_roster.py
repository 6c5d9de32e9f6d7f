"""One customer's roster, decided: every change of orgs, people, classes and enrollments, with limits and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Counts, LimitUse
from reconciler.planning.holds.gates import Finding
from reconciler.planning.holds.holding import UNNAMED, Season, hold_for_season, hold_last_of_roles, hold_unnamed
from reconciler.planning.holds.identity import hold_identities
from reconciler.planning.holds.restrain import Restraint, population, restrain
from reconciler.planning.live import Live, Unsettled, with_roles
from reconciler.planning.roster.desired import Desired, without_lost_orgs
from reconciler.planning.roster.matching import MATCHED_COLUMNS, account_value, match_users, without_conflicts
from reconciler.planning.roster.merges import Entry, Merging, both_halves_or_none, with_merged
from reconciler.planning.roster.persons import with_canonical
from reconciler.planning.roster.removals import (
    absent_enrollments,
    absent_people,
    absent_rows,
    ended_classes,
    no_sessions,
    possibly_selected,
)
from reconciler.planning.roster.roster_diff import appearing_and_changed, in_report_order, leaving
from reconciler.planning.roster.selection import Selection
from reconciler.planning.roster.sign_ins import spare_sign_ins
from reconciler.planning.roster.usernames import SettledUsernames, settle_usernames


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
    restraint: Restraint = field(default_factory=Restraint)
    last_match_with: str | None = None
    selection: Selection | None = None
    season: Season | None = None
    merges: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class RosterDecision:
    """changes: frames by kind, only kinds that change. aside: rows set aside, those of the snapshot included.
    causes: plain sentences for whatever holds something. matched_anew: somebody waits because `match_with` is another
    one than the last roster's."""

    changes: Mapping[Kind, pl.DataFrame]
    refresh: Mapping[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    counts: Mapping[Kind, Counts]
    aside: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]
    causes: tuple[str, ...] = ()
    matched_anew: bool = False


def decide_roster(
    desired: Desired,
    live: Live,
    unsettled: Unsettled,
    rules: RosterRules,
    *,
    whole: frozenset[Kind] = frozenset(ROSTER_KINDS),
    waiting: bool = False,
    findings: tuple[Finding, ...] = (),
    sessions: pl.DataFrame | None = None,
    merging: Merging | None = None,
) -> RosterDecision:
    """unsettled: what `unsettled_enrollments` left open; `live.enrollments` holds the live rows to it.

    whole: kinds whose absence from the source means something. waiting: an earlier roster holds something; then
    whoever is absent where that means nothing waits on, with all that depends on them. findings: of gates that hold.
    sessions:
    academic sessions (SESSIONS_SCHEMA) of this roster and of the last good one; without, no class has ended. merging:
    what `rules.merges` mean, with which `desired` was made.
    """
    merging = merging or Merging()
    desired = without_lost_orgs(desired, live.orgs)
    everybody = with_roles(live.users, live.roles)
    users = merging.others(everybody)
    desired = without_conflicts(desired, users, rules.match_with)
    matched = match_users(desired.frames[Kind.USER], users, rules.match_with, desired.people_in_file)
    rekeyed = matched.users.filter(pl.col("match") == Action.REKEY.value)
    spared = spare_sign_ins(matched.users, users)
    people = appearing_and_changed(Kind.USER, spared.users, users)
    named = pl.concat(
        [_named_otherwise(desired, users, rules, rekeyed), possibly_selected(desired, live.enrollments, users)]
    )
    gone_people = absent_people(desired, users, live.roles, named, rules.missing, with_canonical(rules.protect, users))
    today = rules.restraint.today or None
    ended = ended_classes(live.classes, no_sessions() if sessions is None else sessions, today)
    differences = {Kind.USER: people}
    gone = {Kind.USER: gone_people.changes}
    for kind in (Kind.ORG, Kind.CLASS):
        differences[kind] = appearing_and_changed(
            kind, _by_key(desired.frames[kind], live.frame(kind)), live.frame(kind)
        )
        gone[kind] = absent_rows(kind, desired, live.frame(kind), ended if kind is Kind.CLASS else None)
    enrollments = _follow_rekeys(live.enrollments, rekeyed)
    wanted, dangling = _with_parents(unsettled.desired, desired, live, matched.users)
    differences[Kind.ENROLLMENT] = appearing_and_changed(Kind.ENROLLMENT, _by_key(wanted, enrollments), enrollments)
    listed = frozenset(ROSTER_KINDS) if waiting else whole
    gone = {kind: _evident(frame, kind in listed) for kind, frame in gone.items()}
    gone[Kind.ENROLLMENT] = absent_enrollments(
        desired,
        enrollments,
        gone[Kind.USER],
        gone[Kind.CLASS],
        gone_people.kept,
        _over_before(ended, desired, live),
        today,
    )
    changes = {
        kind: pl.concat([_evident(gone[kind], kind in listed), differences[kind].changes]) for kind in ROSTER_KINDS
    }
    changes = dict(with_merged(changes, merging.pairs, everybody, live.enrollments))
    changes, still = hold_unnamed(changes, whole)
    changes, season = hold_for_season(changes, rules.season)
    unidentified = desired.unidentified | _unknown_people(desired, users, rules)
    identities = hold_identities(changes, users, rules.match_with, rules.last_match_with)
    restrained = restrain(
        identities.changes, everybody, live, rules.restraint, unidentified=unidentified, findings=findings
    )
    settled = _settled(restrained.changes, everybody, live, rules.reserved_usernames)
    aside = pl.concat([desired.quarantine, dangling, settled.aside])
    changed = settled.changes
    final = {kind: in_report_order(frame) for kind, frame in changed.items() if frame.height}
    refresh = {kind: each.refresh for kind, each in differences.items()}
    refresh[Kind.ENROLLMENT] = _without_unfollowed(refresh[Kind.ENROLLMENT], enrollments, rekeyed, final)
    return RosterDecision(
        changes=final,
        refresh={kind: frame for kind, frame in refresh.items() if frame.height},
        limits=restrained.limits,
        counts=_counts(final, everybody, live, aside),
        aside=aside,
        causes=(*((season,) if season else ()), *still, *identities.causes, *restrained.causes),
        matched_anew=identities.matched_anew,
        diagnostics=(
            *desired.diagnostics,
            *merging.diagnostics,
            *matched.diagnostics,
            *spared.diagnostics,
            *gone_people.diagnostics,
            *identities.diagnostics,
            *restrained.diagnostics,
            *_unidentified(unidentified, changes),
            *_recycled(final.get(Kind.USER)),
        ),
    )


def _settled(
    changes: Mapping[Kind, pl.DataFrame], users: pl.DataFrame, live: Live, reserved: frozenset[str]
) -> SettledUsernames:
    """Repeats until what one of the rules holds or refuses leaves nothing to another: each only adds to it."""
    aside: list[pl.DataFrame] = []
    whole = both_halves_or_none(changes)
    while True:
        settled = settle_usernames(whole, users, reserved)
        aside.append(settled.aside)
        changed = settled.changes
        if settled.aside.height:
            changed = hold_last_of_roles(changed, population(users, live).people)
        again = both_halves_or_none(changed)
        if all(again[kind].equals(changed[kind]) for kind in (Kind.USER, Kind.ENROLLMENT)):
            return SettledUsernames(again, pl.concat(aside))
        whole = again


def _by_key(desired: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
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


def _with_parents(
    wanted: pl.DataFrame, desired: Desired, live: Live, users: pl.DataFrame
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


def _evident(gone: pl.DataFrame, whole: bool) -> pl.DataFrame:
    """Absence from a file of changes means nothing; what it marks as to be deleted does."""
    return gone if whole else gone.filter(~UNNAMED)


def _over_before(ended: pl.Series, desired: Desired, live: Live) -> pl.Series:
    """Classes that are over and went by an earlier run; what is left of their enrollments ended with them."""
    gone = live.classes.filter(pl.col("tombstoned") & pl.col("sourced_id").is_in(ended.implode()))["sourced_id"]
    return gone.filter(~gone.is_in(desired.frames[Kind.CLASS]["sourced_id"].implode()))


def _counts(
    changes: Mapping[Kind, pl.DataFrame], users: pl.DataFrame, live: Live, aside: pl.DataFrame
) -> dict[Kind, Counts]:
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
        counts[kind] = Counts(
            actions,
            unchanged=alive[kind] - touched,
            quarantined=aside.filter(pl.col("kind") == kind.value).height,
            held=held,
        )
    return counts


def _strangers_aside(desired: Desired, users: pl.DataFrame) -> pl.DataFrame:
    """Rows of people set aside whose sourcedId no account has: each may be an account's under another sourcedId."""
    aside = desired.quarantine.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    return aside.filter(~pl.col("key").is_in(users["sourced_id"].drop_nulls().implode()))


def _unknown_people(desired: Desired, users: pl.DataFrame, rules: RosterRules) -> frozenset[Kind]:
    """Of a stranger set aside whose values cannot be read, nobody knows whose account it would have been."""
    if rules.match_with not in MATCHED_COLUMNS or not users.height:
        return frozenset()
    unread = pl.all_horizontal(pl.col("identifier", "email", "username").is_null())
    return frozenset({Kind.USER}) if _strangers_aside(desired, users).filter(unread).height else frozenset()


def _named_otherwise(desired: Desired, users: pl.DataFrame, rules: RosterRules, rekeyed: pl.DataFrame) -> pl.Series:
    """Ids of accounts that this file has under another sourcedId: rekeyed, or by a row that was set aside."""
    column = MATCHED_COLUMNS.get(rules.match_with)
    if column is None:
        return rekeyed["id"]
    values = _strangers_aside(desired, users)["username" if column == "roster_username" else column].drop_nulls()
    meant = users.filter(account_value(column).is_in(values.implode()).fill_null(False))["id"]
    return pl.concat([rekeyed["id"], meant])


def _without_unfollowed(
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


def _recycled(users: pl.DataFrame | None) -> tuple[Diagnostic, ...]:
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
        warning(
            "recycled-sourced-id",
            f"{restored.height:,} people who return have another name and identifier than before",
            Span("users.csv", int(restored["line"].sort()[0])),
            "if a sourcedId was given to somebody else, that person would get the old account and its work",
        ),
    )


def _unidentified(kinds: frozenset[Kind], changes: Mapping[Kind, pl.DataFrame]) -> tuple[Diagnostic, ...]:
    found = []
    for kind in ROSTER_KINDS:
        if kind in kinds:
            number = changes[kind].filter(leaving(kind)).height
            effect = f"all {number:,} deletions of {kind.plural} are held" if number else "nothing had to be held"
            found.append(
                warning(
                    "unidentified-row",
                    f"a row was set aside that may speak of any of the {kind.plural}; {effect}",
                    Span(f"{kind.plural}.csv"),
                    "correct the rows set aside and plan again",
                )
            )
    return tuple(found)
