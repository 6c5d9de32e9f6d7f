"""One customer's roster, from its source to a decision: gather, decide, gather what is left open, decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from reconciler.config.models.rostering import OneRosterRostering
from reconciler.model.diagnostic import Refusal
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.oneroster.snapshot import Snapshot
from reconciler.operations.own_part import own_part
from reconciler.planning.desired import Desired, desire
from reconciler.planning.gates import emptied_files
from reconciler.planning.impact import Belongings
from reconciler.planning.limits import Threshold, Thresholds
from reconciler.planning.live import Live, Unsettled, empty_live, unsettled_enrollments
from reconciler.planning.roster import RosterDecision, RosterRules, decide_roster
from reconciler.store.reader import Reader


@dataclass(frozen=True, slots=True)
class ComparedRoster:
    """desired: what the snapshot wants. decision: every change. belongings: what goes with what leaves. kept: the
    snapshot's frames to be stored."""

    desired: Desired
    decision: RosterDecision
    belongings: Belongings
    kept: Mapping[str, pl.DataFrame]


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


def compare_roster(
    snapshot: Snapshot,
    rostering: OneRosterRostering,
    reader: Reader,
    known: KnownRoster,
    administrators: Iterable[str] = (),
) -> ComparedRoster:
    """administrators: their usernames, which no roster row may take. Raises Refusal where the snapshot is not this
    customer's, or a file of it became empty."""
    desired = desire(snapshot, rostering.client_partner_id, rostering.suffix, known.live.orgs["sourced_id"])
    _refuse_emptied(snapshot, known.live)
    unsettled = unsettled_enrollments(desired.frames[Kind.ENROLLMENT], known.index)
    live = _with_open_enrollments(reader, known, unsettled)
    decision = decide_roster(desired, live, unsettled, roster_rules(rostering, administrators))
    belongings = _belongings(reader, known.customer_id, live, decision)
    return ComparedRoster(desired, decision, belongings, own_part(snapshot, desired, live))


def roster_rules(rostering: OneRosterRostering, administrators: Iterable[str] = ()) -> RosterRules:
    limits = rostering.limits
    return RosterRules(
        match_with=rostering.match_with,
        missing=rostering.missing,
        protect=frozenset(rostering.protect),
        reserved_usernames=frozenset(username.lower() for username in administrators),
        thresholds=Thresholds(
            users=Threshold(limits.users.percent, limits.users.floor, limits.users.per_school_percent),
            classes=Threshold(limits.classes.percent, limits.classes.floor),
            enrollments=Threshold(limits.enrollments.percent, limits.enrollments.floor),
        ),
    )


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


def _refuse_emptied(snapshot: Snapshot, live: Live) -> None:
    alive = {kind: live.frame(kind).filter(~pl.col("tombstoned")).height for kind in ROSTER_KINDS}
    alive[Kind.ENROLLMENT] = live.enrollments_total
    emptied = emptied_files(snapshot.rows, alive)
    if emptied:
        raise Refusal(emptied)


def _belongings(reader: Reader, customer_id: int | None, live: Live, decision: RosterDecision) -> Belongings:
    """Counted only for what leaves or is rekeyed; ids that no frame names are not looked up."""

    def touched(kind: Kind) -> pl.Series:
        frame = decision.changes.get(kind)
        if frame is None:
            return pl.Series("live_id", [], dtype=pl.Int64)
        taking = ["delete", "suspend", "rekey"]
        return frame.filter(pl.col("action").is_in(taking))["live_id"].drop_nulls().unique().sort()

    people, classes, orgs = (touched(kind) for kind in (Kind.USER, Kind.CLASS, Kind.ORG))
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
