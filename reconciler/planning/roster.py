"""One customer's roster, decided: every change of orgs, people, classes and enrollments, with limits and holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, warning
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Counts, LimitUse
from reconciler.planning.absence import absent_enrollments, absent_people, absent_rows
from reconciler.planning.desired import ROLE_SEPARATOR, Desired
from reconciler.planning.difference import appearing_and_changed, in_report_order
from reconciler.planning.holding import hold_rows, leaving
from reconciler.planning.limits import Thresholds, countable_people, people_limits, row_limit
from reconciler.planning.live import Live, Unsettled
from reconciler.planning.matching import match_users
from reconciler.planning.usernames import settle_usernames


@dataclass(frozen=True, slots=True)
class RosterRules:
    """What a customer's configuration says of its roster."""

    match_with: str
    missing: str = "delete"
    protect: frozenset[str] = frozenset()
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class RosterDecision:
    """changes: frames by kind, only kinds that change. aside: rows set aside, those of the snapshot included."""

    changes: Mapping[Kind, pl.DataFrame]
    refresh: Mapping[Kind, pl.DataFrame]
    limits: tuple[LimitUse, ...]
    counts: Mapping[Kind, Counts]
    aside: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def decide_roster(desired: Desired, live: Live, unsettled: Unsettled, rules: RosterRules) -> RosterDecision:
    """unsettled: what `unsettled_enrollments` left open; `live.enrollments` holds the live rows to it."""
    users = _with_roles(live.users, live.roles)
    present = pl.concat(
        [
            desired.frames[Kind.USER]["sourced_id"],
            desired.marked[Kind.USER]["key"],
            desired.protected(Kind.USER),
        ]
    )
    matched = match_users(desired.frames[Kind.USER], users, rules.match_with, present)
    rekeyed = matched.users.filter(pl.col("match") == Action.REKEY.value)
    people = appearing_and_changed(Kind.USER, matched.users, users)
    gone_people = absent_people(desired, users, live.roles, rekeyed["id"], rules.missing, rules.protect)
    differences = {Kind.USER: people}
    gone = {Kind.USER: gone_people.changes}
    for kind in (Kind.ORG, Kind.CLASS):
        differences[kind] = appearing_and_changed(
            kind, _by_key(desired.frames[kind], live.frame(kind)), live.frame(kind)
        )
        gone[kind] = absent_rows(kind, desired, live.frame(kind))
    enrollments = _follow_rekeys(live.enrollments, rekeyed)
    wanted, dangling = _with_parents(unsettled.desired, desired, live, matched.users)
    differences[Kind.ENROLLMENT] = appearing_and_changed(Kind.ENROLLMENT, _by_key(wanted, enrollments), enrollments)
    gone[Kind.ENROLLMENT] = absent_enrollments(
        desired, enrollments, gone[Kind.USER], gone[Kind.CLASS], gone_people.kept
    )
    changes = {kind: pl.concat([gone[kind], differences[kind].changes]) for kind in ROSTER_KINDS}
    limits = _limits(changes, users, live, rules.thresholds)
    held = hold_rows(changes, limits, live.roles, desired.unidentified)
    settled = settle_usernames(held, users)
    aside = pl.concat([desired.quarantine, dangling, settled.aside])
    final = {kind: in_report_order(frame) for kind, frame in settled.changes.items() if frame.height}
    return RosterDecision(
        changes=final,
        refresh={kind: each.refresh for kind, each in differences.items() if each.refresh.height},
        limits=limits,
        counts=_counts(final, users, live, aside),
        aside=aside,
        diagnostics=(
            *desired.diagnostics,
            *matched.diagnostics,
            *gone_people.diagnostics,
            *_unidentified(desired, changes),
        ),
    )


def _with_roles(users: pl.DataFrame, roles: pl.DataFrame) -> pl.DataFrame:
    """Live users with the `roles` field, written as a snapshot's are."""
    entries = roles.select("account_id", (pl.col("org") + "=" + pl.col("role")).alias("roles"))
    if entries["account_id"].n_unique() < entries.height:
        entries = (
            entries.sort("account_id", "roles")
            .group_by("account_id", maintain_order=True)
            .agg(pl.col("roles").unique(maintain_order=True).str.join(ROLE_SEPARATOR))
        )
    bare = users.drop("roles") if "roles" in users.columns else users
    return bare.join(entries, left_on="id", right_on="account_id", how="left", maintain_order="left")


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
    )
    return whole, dangling


def _limits(
    changes: Mapping[Kind, pl.DataFrame], users: pl.DataFrame, live: Live, thresholds: Thresholds
) -> tuple[LimitUse, ...]:
    people = countable_people(users, live.roles).join(
        users.filter(pl.col("sourced_id").is_not_null()), on="id", how="semi"
    )
    return (
        *people_limits(changes[Kind.USER].filter(leaving(Kind.USER)), people, live.roles, live.orgs, thresholds.users),
        row_limit(
            Kind.CLASS,
            changes[Kind.CLASS].filter(leaving(Kind.CLASS)).height,
            live.classes.filter(~pl.col("tombstoned")).height,
            thresholds.classes,
        ),
        row_limit(
            Kind.ENROLLMENT,
            changes[Kind.ENROLLMENT].filter(leaving(Kind.ENROLLMENT)).height,
            live.enrollments_total,
            thresholds.enrollments,
        ),
    )


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


def _unidentified(desired: Desired, changes: Mapping[Kind, pl.DataFrame]) -> tuple[Diagnostic, ...]:
    found = []
    for kind in ROSTER_KINDS:
        if kind in desired.unidentified:
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
