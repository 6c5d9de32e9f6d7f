"""One customer's roster, from its source to a decision: gather, decide, gather what is left open, decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from reconciler import clock
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.settings import Ceilings
from reconciler.model.diagnostic import Diagnostic, Refusal, Span
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.oneroster.snapshot import Snapshot
from reconciler.operations.fetch.snapshots import (
    SOURCE,
    WHOLE_AT,
    earlier_roster,
    kept_source,
    own_part,
    source_facts,
    source_rows,
    whole_at,
)
from reconciler.operations.plan.rules import allowances, cap_warnings, capped, restraint, roster_rules, window_since
from reconciler.planning.customer_plan import Belongings
from reconciler.planning.holds.gates import Case, Judgement, LastRoster, judge, roots
from reconciler.planning.live import Live, Unsettled, empty_live, unsettled_enrollments
from reconciler.planning.roster.desired import Desired
from reconciler.planning.roster.erased import Cleared, people_named, told, without_erased
from reconciler.planning.roster.plan_roster import RosterDecision, decide_roster
from reconciler.planning.roster.removals import kept_sessions, no_sessions
from reconciler.planning.roster.wanted_people import wanted_people
from reconciler.store.read.reader import Reader


@dataclass(frozen=True, slots=True)
class ComparedRoster:
    """desired: what the snapshot wants. decision: every change. belongings: what goes with what leaves. kept: the
    snapshot's frames to be stored; facts: what the next one is judged by. diagnostics: of gates and limits. doubted: a
    gate holds what can be held, so that this is no good roster yet."""

    desired: Desired
    decision: RosterDecision
    belongings: Belongings
    kept: Mapping[str, pl.DataFrame]
    facts: Mapping[str, object]
    diagnostics: tuple[Diagnostic, ...]
    doubted: bool


@dataclass(frozen=True, slots=True)
class KnownRoster:
    """What the store holds of a customer before anything is compared. customer_id: None for a customer that it does
    not have yet. index: `id`, `fingerprint` of its live enrollments."""

    customer_id: int | None
    live: Live
    index: pl.DataFrame


def known_roster(reader: Reader, customer_id: int | None) -> KnownRoster:
    if customer_id is None:
        return KnownRoster(None, Live(), pl.DataFrame(schema={"id": pl.Int64, "fingerprint": pl.Int64}))
    index = reader.enrollment_index(customer_id)
    live = Live(
        orgs=reader.orgs(customer_id),
        users=reader.users(customer_id),
        classes=reader.classes(customer_id),
        roles=reader.roles(customer_id),
        enrollments_total=index.height,
    )
    return KnownRoster(customer_id, live, index)


def _unmerged(known: KnownRoster) -> KnownRoster:
    """Without accounts that went into others: nobody comes back as one of them but by an undo."""
    users = known.live.users
    if "merged_into" not in users.columns or users["merged_into"].null_count() == users.height:
        return known
    return replace(known, live=replace(known.live, users=users.filter(pl.col("merged_into").is_null())))


@dataclass(frozen=True, slots=True)
class Terms:
    """By what a roster is compared. administrators: usernames, which no roster row may take. ceilings: of the policy.
    origins: where each setting was written."""

    customer: Customer
    rostering: OneRosterRostering
    administrators: tuple[str, ...] = ()
    ceilings: Ceilings | None = None
    origins: Mapping[str, Span] = field(default_factory=dict)


def compare_roster(snapshot: Snapshot, terms: Terms, reader: Reader, known: KnownRoster) -> ComparedRoster:
    """Raises Refusal where a gate refuses the snapshot, or it is not this customer's."""
    rostering = terms.rostering
    known = _unmerged(known)
    last = _last_roster(reader, known.customer_id)
    judgement = judge(
        Case(snapshot, last, known.live, _alive(known.live)),
        allowances(rostering, terms.origins),
        clock.today(terms.customer.timezone),
    )
    if judgement.refusals:
        raise Refusal(judgement.refusals)
    erased = _erased(reader, known, snapshot)
    snapshot = erased.snapshot
    limits, lowered = capped(rostering.limits, terms.ceilings)
    earlier = reader.limit_uses(known.customer_id, window_since(limits)) if known.customer_id is not None else None
    rules = roster_rules(
        rostering,
        replace(
            restraint(terms.customer, rostering, limits, earlier, terms.origins),
            newcomers=reader.newcomers(known.customer_id, window_since(limits)) if known.customer_id is not None else 0,
        ),
        terms.administrators,
        last.match_with if last else None,
        terms.origins,
    )
    wanted = wanted_people(
        snapshot, known.live, rules, rostering.client_partner_id, rostering.suffix, known.live.orgs["sourced_id"]
    )
    desired = wanted.desired
    unsettled = unsettled_enrollments(desired.frames[Kind.ENROLLMENT], known.index)
    live = _with_open_enrollments(reader, known, unsettled)
    earlier_sessions = _earlier_sessions(reader, known.customer_id)
    decision = decide_roster(
        desired,
        live,
        unsettled,
        rules,
        whole=_whole(snapshot),
        waiting=known.customer_id is not None and reader.roster_is_held(known.customer_id),
        findings=judgement.held,
        sessions=pl.concat([snapshot.sessions, earlier_sessions]),
        merging=wanted.merging,
    )
    decision = told(decision, erased.aside)
    kept = own_part(snapshot, desired, live)
    kept["sessions"] = kept_sessions(snapshot.sessions, earlier_sessions)
    return ComparedRoster(
        desired,
        decision,
        belongings_of(reader, known.customer_id, live, decision),
        kept,
        _facts(
            snapshot,
            kept,
            last.match_with if last and decision.matched_anew else rostering.match_with,
            earlier_roster(reader, known.customer_id).whole_at,
        ),
        (*wanted.diagnostics, *judgement.diagnostics, *cap_warnings(lowered, terms.origins)),
        _doubted(snapshot, judgement),
    )


def _doubted(snapshot: Snapshot, judgement: Judgement) -> bool:
    """Of a file of changes, what was not held has been carried out: the kept roster has to follow, unless all waits."""
    whole = _whole(snapshot) == frozenset(ROSTER_KINDS)
    return any(whole or finding.everything for finding in judgement.held)


def _erased(reader: Reader, known: KnownRoster, snapshot: Snapshot) -> Cleared:
    """The snapshot without people who were erased and whom nobody let in again since."""
    if known.customer_id is None or not reader.has_erased(known.customer_id):
        return without_erased(snapshot, pl.Series("key", [], dtype=pl.String))
    keys = reader.erased_keys(known.customer_id, people_named(snapshot))
    alive = known.live.users.filter(~pl.col("tombstoned"))["sourced_id"].drop_nulls()
    return without_erased(snapshot, keys.filter(~keys.is_in(alive.implode())))


def _earlier_sessions(reader: Reader, customer_id: int | None) -> pl.DataFrame:
    kept = reader.last_part(customer_id, "sessions") if customer_id is not None else None
    return no_sessions() if kept is None else kept


def _last_roster(reader: Reader, customer_id: int | None) -> LastRoster | None:
    source = reader.last_source(customer_id) if customer_id is not None else None
    if source is None:
        return None
    facts = source.facts
    return LastRoster(
        sha256=source.sha256,
        fetched_at=source.fetched_at,
        rows=source_rows(source.rows, facts),
        facts=source_facts(facts),
        roots=tuple(facts.get("roots", ())),
        match_with=facts.get("match_with"),
    )


def _facts(
    snapshot: Snapshot, kept: Mapping[str, pl.DataFrame], match_with: str | None, before: str | None
) -> Mapping[str, object]:
    """What the next roster is judged by. match_with: while a change of it holds somebody, the one before. before: when
    the whole was fetched last, before this one."""
    return {
        SOURCE: kept_source(snapshot, kept),
        "roots": list(roots(snapshot)),
        "match_with": match_with,
        WHOLE_AT: whole_at(snapshot, before),
    }


def _whole(snapshot: Snapshot) -> frozenset[Kind]:
    """Kinds whose absence from the source means something. In 1.2 people are in two files."""
    files = {kind: (kind.plural, "roles") if kind is Kind.USER else (kind.plural,) for kind in ROSTER_KINDS}
    return frozenset(kind for kind, stems in files.items() if all(snapshot.whole(stem) for stem in stems))


def _alive(live: Live) -> Mapping[Kind, int]:
    alive = {kind: live.frame(kind).filter(~pl.col("tombstoned")).height for kind in ROSTER_KINDS}
    return {**alive, Kind.ENROLLMENT: live.enrollments_total}


def summary_of(snapshot: Snapshot, freshness: Freshness) -> SourceSummary:
    return SourceSummary(
        type=snapshot.type,
        name=snapshot.name,
        freshness=freshness,
        complete=snapshot.complete,
        sha256=snapshot.sha256,
        fetched_at=snapshot.fetched_at,
        rows=dict(sorted(snapshot.rows.items())),
        version=snapshot.version,
    )


def _with_open_enrollments(reader: Reader, known: KnownRoster, unsettled: Unsettled) -> Live:
    """The open live rows, and whatever else has the sourcedId of an open row of the file."""
    if known.customer_id is None:
        return known.live
    columns = list(empty_live(Kind.ENROLLMENT).columns)
    enrollments = pl.concat(
        [
            reader.enrollments_by_id(known.customer_id, unsettled.live_ids).select(columns),
            reader.enrollments_by_key(known.customer_id, unsettled.desired["sourced_id"]).select(columns),
        ]
    ).unique("id", keep="first", maintain_order=True)
    return replace(known.live, enrollments=enrollments)


def belongings_of(reader: Reader, customer_id: int | None, live: Live, decision: RosterDecision) -> Belongings:
    """Counted only for what leaves or is rekeyed; ids that no frame names are not looked up."""

    def touched(kind: Kind) -> pl.Series:
        frame = decision.changes.get(kind)
        if frame is None:
            return pl.Series("live_id", [], dtype=pl.Int64)
        taking = ["delete", "suspend", "conclude", "rekey"]
        return frame.filter(pl.col("action").is_in(taking))["live_id"].drop_nulls().unique().sort()

    return belongings(reader, customer_id, live, {kind: touched(kind) for kind in (Kind.USER, Kind.CLASS, Kind.ORG)})


def belongings(reader: Reader, customer_id: int | None, live: Live, wanted: Mapping[Kind, pl.Series]) -> Belongings:
    """wanted: ids of people, classes and orgs."""
    people, classes, orgs = (wanted[kind] for kind in (Kind.USER, Kind.CLASS, Kind.ORG))
    if customer_id is None or not (people.len() or classes.len() or orgs.len()):
        return _no_belongings()
    assignments = reader.assignments(customer_id)

    def assigned(column: str) -> pl.DataFrame:
        return assignments.group_by(pl.col(column).alias("id")).agg(pl.len().cast(pl.Int64).alias("assignments"))

    by_account = reader.enrollment_counts(customer_id, account_ids=people)
    by_class = reader.enrollment_counts(customer_id, class_ids=classes)
    facts = live.users.select(
        "id", pl.col("lti_links").cast(pl.Int64), pl.col("has_password").cast(pl.Boolean).alias("password")
    )
    signed_in = reader.last_sign_ins(people).select(
        pl.col("account_id").alias("id"), pl.col("at").alias("last_sign_in")
    )
    schools = live.classes.filter(~pl.col("tombstoned")).group_by(pl.col("school").alias("sourced_id"))
    alive = live.users.filter(~pl.col("tombstoned")).select(pl.col("id").alias("account_id"))
    staff = live.roles.join(alive, on="account_id", how="semi").group_by(pl.col("org").alias("sourced_id"))
    return Belongings(
        people=people.alias("id")
        .to_frame()
        .join(by_account.select("id", "enrollments", "classes"), on="id", how="left")
        .join(assigned("account_id"), on="id", how="left")
        .join(facts, on="id", how="left")
        .join(signed_in, on="id", how="left")
        .with_columns(pl.col("enrollments", "classes", "assignments").fill_null(0)),
        classes=classes.alias("id")
        .to_frame()
        .join(by_class.select("id", "enrollments"), on="id", how="left")
        .join(assigned("class_id"), on="id", how="left")
        .with_columns(pl.col("enrollments", "assignments").fill_null(0)),
        orgs=live.orgs.filter(pl.col("id").is_in(orgs.implode()))
        .select("id", "sourced_id")
        .join(staff.agg(pl.col("account_id").n_unique().cast(pl.Int64).alias("people")), on="sourced_id", how="left")
        .join(schools.agg(pl.len().cast(pl.Int64).alias("classes")), on="sourced_id", how="left")
        .with_columns(pl.col("people", "classes").fill_null(0))
        .drop("sourced_id"),
    )


def _no_belongings() -> Belongings:
    def empty(**columns: type[pl.DataType]) -> pl.DataFrame:
        return pl.DataFrame(schema={"id": pl.Int64, **columns})

    return Belongings(
        people=empty(
            enrollments=pl.Int64,
            classes=pl.Int64,
            assignments=pl.Int64,
            lti_links=pl.Int64,
            password=pl.Boolean,
            last_sign_in=pl.String,
        ),
        classes=empty(enrollments=pl.Int64, assignments=pl.Int64),
        orgs=empty(people=pl.Int64, classes=pl.Int64),
    )
