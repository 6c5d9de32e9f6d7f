"""What is kept back until a person approves: what exceeds a limit, and everything that depends on it.

Pure frames in, pure frames out; the id of a hold names exactly the set it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl

from reconciler.model.change import Action, Change, Delete
from reconciler.model.diagnostic import Span
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import Hold, LimitUse
from reconciler.model.reason import Reason
from reconciler.model.role import Role
from reconciler.planning.holds.gates import GateFinding
from reconciler.planning.holds.limits import find_exceeding_rows
from reconciler.planning.roster.desired import ROLE_SEPARATOR
from reconciler.planning.roster.roster_diff import is_leaving, is_taken_away, is_vanishing, make_empty_changes

#: A customer needs somebody in each of these, once it has somebody.
ESSENTIAL_ROLES = (Role.TEACHER, Role.STUDENT)


@dataclass(frozen=True, slots=True)
class LivePopulation:
    """Who and what is live: people (`id`, `role`), roles (`account_id`, `org`), classes (`sourced_id`, `school`), orgs
    (`sourced_id`, `parent`); no tombstones in them."""

    people: pl.DataFrame
    roles: pl.DataFrame
    classes: pl.DataFrame
    orgs: pl.DataFrame


def hold_rows(
    changes: Mapping[Kind, pl.DataFrame],
    limits: Iterable[LimitUse],
    live: LivePopulation,
    unidentified: frozenset[Kind],
    findings: Iterable[GateFinding] = (),
) -> dict[Kind, pl.DataFrame]:
    """`changes` with `held` set: rows that exceeded limits count, losses that gates doubt, and what depends on them.
    changes: as `count_rows` gives them; what is held in them already stays so."""
    frames = {kind: changes.get(kind, make_empty_changes(kind)) for kind in ROSTER_KINDS}
    over = find_exceeding_rows(frames, tuple(limits), live.roles)
    for kind in ROSTER_KINDS:
        keys = over.filter(pl.col("kind") == kind.value)["key"]
        if keys.len():
            frames[kind] = _hold_where(
                frames[kind], pl.col("limits").is_not_null() & pl.col("key").is_in(keys.implode())
            )
        if kind in unidentified:
            frames[kind] = _hold_where(frames[kind], is_vanishing(kind))
    for finding in findings:
        if finding.reasons:
            frames[Kind.USER] = _hold_where(frames[Kind.USER], pl.col("reason").is_in(finding.reasons))
        frames = _hold_by_finding(finding, frames, live)
    frames[Kind.USER] = _hold_last_role_holders(frames[Kind.USER], live.people)
    frames[Kind.CLASS] = _hold_dependent_classes(frames)
    frames[Kind.ENROLLMENT] = _hold_dependent_enrollments(frames)
    frames[Kind.ORG] = _hold_orgs_in_use(frames, live)
    return frames


def hold_last_of_roles(changes: Mapping[Kind, pl.DataFrame], people: pl.DataFrame) -> dict[Kind, pl.DataFrame]:
    """Once more, where who would have taken a role was refused after all."""
    frames = dict(changes)
    frames[Kind.USER] = _hold_last_role_holders(frames[Kind.USER], people)
    frames[Kind.ENROLLMENT] = _hold_dependent_enrollments(frames)
    return frames


def _hold_last_role_holders(users: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    for role in find_roles_left_empty(users, people):
        lost = is_leaving(Kind.USER) | pl.col("role").ne_missing(pl.col("before_role"))
        users = _hold_where(users, lost & (pl.col("before_role") == role))
    return users


def find_roles_left_empty(users: pl.DataFrame, people: pl.DataFrame) -> list[str]:
    """Roles a customer needs that somebody has now and, after what is not held, nobody would have."""
    going = users.filter(is_leaving(Kind.USER) & ~pl.col("held"))
    found = []
    for role in ESSENTIAL_ROLES:
        there = people.filter(pl.col("role") == role.value)
        lost = there.join(going, left_on="id", right_on="live_id", how="semi").height
        changed = users.filter(
            ~is_leaving(Kind.USER) & ~pl.col("held") & pl.col("role").ne_missing(pl.col("before_role"))
        )
        gained = changed.filter(pl.col("role") == role.value).height
        others = changed.filter((pl.col("before_role") == role.value) & pl.col("live_id").is_in(there["id"].implode()))
        if (lost or others.height) and there.height - lost - others.height + gained <= 0:
            found.append(role.value)
    return found


def _hold_by_finding(
    finding: GateFinding, frames: dict[Kind, pl.DataFrame], live: LivePopulation
) -> dict[Kind, pl.DataFrame]:
    """What a gate keeps back: losses of its kinds, those of its orgs alone where it names some, or everything."""
    held = dict(frames)
    for kind in ROSTER_KINDS:
        if finding.holds_everything:
            held[kind] = _hold_where(frames[kind], pl.lit(True))
        elif kind in finding.kinds:
            mine = is_taken_away(kind)
            if finding.orgs is not None:
                mine = is_vanishing(kind) & _match_rows_of_orgs(kind, finding.orgs, live)
                mine = mine | _match_lost_org_places(finding.orgs) if kind is Kind.USER else mine
            held[kind] = _hold_where(frames[kind], mine)
    return held


def _match_rows_of_orgs(kind: Kind, orgs: tuple[str, ...], live: LivePopulation) -> pl.Expr:
    if kind is Kind.USER:
        theirs = live.roles.filter(pl.col("org").is_in(orgs))["account_id"].unique()
        return pl.col("live_id").is_in(theirs.implode())
    if kind is Kind.ENROLLMENT:
        # They wait with their people and classes.
        return pl.lit(False)
    return pl.col("before_school" if kind is Kind.CLASS else "key").is_in(orgs).fill_null(False)


def _match_lost_org_places(orgs: tuple[str, ...]) -> pl.Expr:
    """People who stay and would lose their place in one of these orgs."""

    def names(column: str, org: str) -> pl.Expr:
        entries = pl.lit(ROLE_SEPARATOR) + pl.col(column).fill_null("")
        return entries.str.contains(f"{ROLE_SEPARATOR}{org}=", literal=True)

    return pl.any_horizontal([names("before_roles", org) & ~names("roles", org) for org in orgs])


def _hold_dependent_classes(frames: Mapping[Kind, pl.DataFrame]) -> pl.DataFrame:
    """Classes: one in which somebody sits whose leaving is held stays too, or they would be kept without their classes
    and what was assigned to these."""
    users, enrollments = frames[Kind.USER], frames[Kind.ENROLLMENT]
    kept = users.filter(pl.col("held") & is_leaving(Kind.USER))["key"]
    if not kept.len() or not frames[Kind.CLASS].height:
        return frames[Kind.CLASS]
    theirs = enrollments.filter(pl.col("before_user").is_in(kept.implode()))["before_class"].drop_nulls().unique()
    return _hold_where(frames[Kind.CLASS], is_leaving(Kind.CLASS) & pl.col("key").is_in(theirs.implode()))


def _hold_dependent_enrollments(frames: Mapping[Kind, pl.DataFrame]) -> pl.DataFrame:
    """Enrollments: a person or class that is kept back keeps theirs, and one that is not made yet gets none yet."""
    users, classes = frames[Kind.USER].filter("held")["key"], frames[Kind.CLASS].filter("held")["key"]
    enrollments = frames[Kind.ENROLLMENT]
    if not users.len() and not classes.len():
        return enrollments
    return _hold_where(
        enrollments,
        pl.col("before_user").is_in(users.implode())
        | pl.col("before_class").is_in(classes.implode())
        | pl.col("user").is_in(users.implode())
        | pl.col("class").is_in(classes.implode()),
    )


def _hold_orgs_in_use(frames: Mapping[Kind, pl.DataFrame], live: LivePopulation) -> pl.DataFrame:
    """Orgs: none goes unseen while a person, a class or another org belongs to it afterwards."""
    orgs = frames[Kind.ORG]
    if not orgs.filter(is_leaving(Kind.ORG)).height:
        return orgs
    users, classes = frames[Kind.USER], frames[Kind.CLASS]
    moved = users.filter(~pl.col("held") & pl.col("live_id").is_not_null())["live_id"]
    arrived = users.filter(~pl.col("held") & ~is_leaving(Kind.USER))["roles"].drop_nulls()
    taught = classes.filter(~pl.col("held"))
    kept = pl.concat(
        [
            live.roles.filter(~pl.col("account_id").is_in(moved.implode()))["org"],
            arrived.str.split(ROLE_SEPARATOR).explode().str.extract(r"^(.*)=", 1).alias("org"),
            live.classes.filter(~pl.col("sourced_id").is_in(taught["key"].implode()))["school"].alias("org"),
            taught.filter(~is_vanishing(Kind.CLASS))["school"].alias("org"),
        ]
    ).drop_nulls()
    going = orgs.filter(is_leaving(Kind.ORG))["key"]
    while True:
        orgs = _hold_where(orgs, is_leaving(Kind.ORG) & pl.col("key").is_in(kept.implode()))
        gone = orgs.filter(is_leaving(Kind.ORG) & ~pl.col("held"))["key"]
        staying = live.orgs.filter(~pl.col("sourced_id").is_in(gone.implode()))
        parents = staying["parent"].drop_nulls().unique()
        above = parents.filter(parents.is_in(going.implode()) & ~parents.is_in(kept.implode()))
        if not above.len():
            return orgs
        kept = pl.concat([kept, above.alias("org")])


def _hold_where(frame: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    return frame.with_columns((pl.col("held") | condition.fill_null(False)).alias("held"))


def hold_document_removals(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Removing a customer or a community from git always waits for a person; with a customer, all that it has."""
    known = tuple(changes)
    whole = any(isinstance(change, Delete) and change.kind is Kind.CUSTOMER for change in known)
    return tuple(
        replace(change, held=True)
        if whole or (isinstance(change, Delete) and change.kind is Kind.COMMUNITY)
        else change
        for change in known
    )


def build_hold(
    customer_id: str,
    declared: Iterable[Change],
    frames: Mapping[Kind, pl.DataFrame],
    causes: Iterable[str],
) -> Hold | None:
    """None where nothing is held. People are those who would leave, and those of a customer that is to go."""
    digest = hashlib.sha256()
    rows = 0
    people = 0
    for change in sorted(
        (change for change in declared if change.held),
        key=lambda change: (DECLARED_KINDS.index(change.kind), change.key),
    ):
        rows += 1
        if change.kind is Kind.CUSTOMER:
            people += int(str(change.impact.get("people", 0)))
        digest.update(f"{type(change).__name__}\x1f{change.kind}\x1f{change.key}\x1e".encode())
    for kind in ROSTER_KINDS:
        held = frames[kind].filter("held") if kind in frames else None
        if held is None or not held.height:
            continue
        rows += held.height
        people += held.filter(is_leaving(kind)).height if kind is Kind.USER else 0
        # Of what comes or changes the content counts too; of what leaves, that it does.
        content = pl.col("fingerprint").cast(pl.String).fill_null("")
        former = pl.col("former_key").fill_null("")
        # Whose account a row would get, and into whose one goes, is not said by the row alone.
        adopted = pl.when(pl.col("action") == Action.ADOPT.value).then(pl.col("live_id").cast(pl.String))
        whose = pl.coalesce(adopted, "into").fill_null("")
        lines = held.select(
            pl.concat_str("action", "reason", "key", former, content, whose, separator="\x1f").alias("row")
        )
        lines_sorted = lines["row"].sort()
        digest.update(f"{kind}\x1d".encode())
        digest.update("\x1e".join(lines_sorted.to_list()).encode())
    if not rows:
        return None
    return Hold(f"{customer_id}:{people}:{digest.hexdigest()[:6]}", people, rows, tuple(causes))


# Who is absent from a file of changes while an earlier roster's hold stands: they wait on.


#: Rows that leave for no other reason than that the source does not have them.
LEAVES_BY_ABSENCE = pl.col("reason").is_in([Reason.ROSTER_ROW_MISSING.value, Reason.SESSION_ENDED.value])

#: Of more kinds than one the first is told: what depends on people waits with them.
SENTENCE_ORDER = (Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


def hold_absent_in_delta(
    changes: Mapping[Kind, pl.DataFrame], full_kinds: frozenset[Kind]
) -> tuple[dict[Kind, pl.DataFrame], tuple[str, ...]]:
    """`changes` with `held` set for what is absent where absence means nothing, and a plain sentence if there is any.
    whole: kinds whose absence from the source means something."""
    held = {
        kind: frame if kind in full_kinds else frame.with_columns((pl.col("held") | LEAVES_BY_ABSENCE).alias("held"))
        for kind, frame in changes.items()
    }
    waiting = {
        kind: changes[kind].filter(LEAVES_BY_ABSENCE).height
        for kind in ROSTER_KINDS
        if kind in changes and kind not in full_kinds
    }
    return held, tuple(_describe_absent(kind, waiting[kind]) for kind in SENTENCE_ORDER if waiting.get(kind))[:1]


def _describe_absent(kind: Kind, number: int) -> str:
    """For people who are no programmers."""
    if kind is Kind.USER:
        who = "1 person" if number == 1 else f"{number:,} people"
    else:
        who = f"1 {kind.value}" if number == 1 else f"{number:,} {kind.plural}"
    were, them = ("was", "it") if number == 1 else ("were", "them")
    them = "them" if kind is Kind.USER else them
    return f"{who} {were} missing from the last whole roster, and the file of changes says nothing of {them}."


# Days on which a roster may do less: what it would do besides is kept back until a person approves, or they are over.


class SeasonMode(StrEnum):
    """FREEZE: nothing of the roster is changed. ADDS_ONLY: nothing is taken away."""

    FREEZE = "freeze"
    ADDS_ONLY = "adds_only"


@dataclass(frozen=True, slots=True)
class ActiveSeason:
    """until: its last day, YYYY-MM-DD. span: where it is written."""

    mode: SeasonMode
    until: str
    span: Span | None = None


def hold_for_season(
    changes: Mapping[Kind, pl.DataFrame], season: ActiveSeason | None
) -> tuple[dict[Kind, pl.DataFrame], str | None]:
    """`changes` with `held` set where the season forbids a row, and one plain sentence if there is such a row."""
    if season is None:
        return dict(changes), None
    held = {}
    anything = False
    for kind, frame in changes.items():
        forbidden = pl.lit(True) if season.mode is SeasonMode.FREEZE else _match_removals(kind)
        held[kind] = frame.with_columns((pl.col("held") | forbidden).alias("held"))
        anything = anything or frame.filter(forbidden).height > 0
    return held, _describe_season(season) if anything else None


def _match_removals(kind: Kind) -> pl.Expr:
    """What limits count, accounts that the roster lets go of, and places at schools that somebody loses for no other.
    What ended with its term goes in every season, and so does the sign-in of somebody whom the source itself calls not
    enabled."""
    if kind is not Kind.USER:
        return is_leaving(kind)
    return is_leaving(kind) | (pl.col("before_bound") & ~pl.col("bound")).fill_null(False) | _match_role_entry_losses()


def _match_role_entry_losses() -> pl.Expr:
    """A row that lacks a school, or one of somebody's several rows: half made, as the whole roster may be."""
    before, after = (pl.col(name).fill_null("").str.split(ROLE_SEPARATOR) for name in ("before_roles", "roles"))
    lost, won = before.list.set_difference(after).list.len(), after.list.set_difference(before).list.len()
    return (pl.col("action") == Action.UPDATE.value) & (lost > 0) & (won == 0)


def _describe_season(season: ActiveSeason) -> str:
    what = "nothing of the roster is changed" if season.mode is SeasonMode.FREEZE else "nobody and nothing is removed"
    where = f" in {season.span.file}:{season.span.line}" if season.span else ""
    return f"Until {season.until} {what} (calendar{where})."
