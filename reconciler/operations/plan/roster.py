"""Compare a customer's roster with the store: read both, check the gates, decide every change, and count its impact."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import polars as pl

from reconciler import clock
from reconciler.config.models import Ceilings, Customer, OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_warning
from reconciler.model.ids import CustomerNumber, Moment
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.oneroster.snapshot import Snapshot
from reconciler.operations.fetch import snapshots
from reconciler.operations.plan.rules import (
    build_gate_exceptions,
    build_limit_rules,
    build_roster_rules,
    clamp_limits,
    find_window_start,
    warn_about_lowered_limits,
)
from reconciler.planning.customer_plan import Impact
from reconciler.planning.decision import (
    ErasureResult,
    RosterDecision,
    RosterInputs,
    RosterRules,
    build_desired_people,
    decide_roster,
    exclude_erased_people,
    list_named_people,
    report_erased_people,
)
from reconciler.planning.frames import (
    IMPACT_COLUMNS,
    LiveRoster,
    OpenEnrollments,
    make_empty_live_frame,
)
from reconciler.planning.holds import (
    GateInput,
    GateResult,
    LastRoster,
    OtherCustomer,
    PeopleAcrossCustomers,
    check_gates,
    find_new_people,
    list_root_orgs,
)
from reconciler.planning.roster import (
    DesiredRoster,
    make_empty_sessions,
    merge_sessions,
    open_enrollments,
    spell_as_stored,
    spell_protected_people,
)
from reconciler.store import read as store_read
from reconciler.store.sync import find_roster_hold


@dataclass(frozen=True, slots=True)
class RosterComparison:
    desired: DesiredRoster
    #: every change
    decision: RosterDecision
    #: rows that go with the removed ones
    impact: Impact
    #: the snapshot's frames to store, by part
    snapshot_frames: Mapping[str, pl.DataFrame]
    #: facts that the next roster is checked against
    facts: Mapping[str, object]
    #: of gates and limits
    diagnostics: tuple[Diagnostic, ...]
    #: a gate holds changes, so this is not a good roster until they are approved
    doubted: bool


@dataclass(frozen=True, slots=True)
class StoredRoster:
    #: None for a customer that the store doesn't have yet
    customer_number: CustomerNumber | None
    #: without enrollments
    live: LiveRoster
    #: `id` and `fingerprint` of the active enrollments
    enrollment_index: pl.DataFrame


def read_stored_roster(reader: store_read.Reader, customer_number: CustomerNumber | None) -> StoredRoster:
    """Read a customer's roster, without enrollments but with their index; empty for a new customer."""
    if customer_number is None:
        return StoredRoster(None, LiveRoster(), pl.DataFrame(schema={"id": pl.Int64, "fingerprint": pl.Int64}))
    index = store_read.read_enrollment_index(reader.connection, customer_number)
    live = LiveRoster(
        orgs=store_read.read_orgs(reader.connection, customer_number),
        users=store_read.read_users(reader.connection, customer_number),
        classes=store_read.read_classes(reader.connection, customer_number),
        roles=store_read.read_roles(reader.connection, customer_number),
        enrollments_total=index.height,
    )
    return StoredRoster(customer_number, live, index)


def _exclude_merged(known: StoredRoster) -> StoredRoster:
    """Return the roster without merged accounts: only an undo restores them."""
    users = known.live.users
    if "merged_into" not in users.columns or users["merged_into"].null_count() == users.height:
        return known
    return replace(known, live=replace(known.live, users=users.filter(pl.col("merged_into").is_null())))


@dataclass(frozen=True, slots=True)
class RosterSettings:
    customer: Customer
    rostering: OneRosterRostering
    #: usernames, which no roster row may take
    administrators: tuple[str, ...] = ()
    #: the policy's; None without a policy
    ceilings: Ceilings | None = None
    #: by dotted path of a setting
    origins: Mapping[str, Span] = field(default_factory=dict)
    #: returns the customers that have the same source; called only for a roster with many new people
    find_others: Callable[[], tuple[OtherCustomer, ...]] = tuple


def compare_roster(
    snapshot: Snapshot, roster_settings: RosterSettings, reader: store_read.Reader, known: StoredRoster
) -> RosterComparison:
    """Compare a snapshot with the store. Raises Refusal if a gate refuses it, or it belongs to another customer."""
    rostering = roster_settings.rostering
    known = _exclude_merged(known)
    last = _read_last_roster(reader, known.customer_number)
    spelled = spell_as_stored(snapshot, known.live)
    snapshot = spelled.snapshot
    erased = _exclude_erased(reader, known, snapshot)
    rules, lowered_limits = _build_rules(reader, known, roster_settings, last)
    rules = replace(rules, protect=spell_protected_people(rules.protect, known.live))
    known_orgs = known.live.orgs["sourced_id"]
    try:
        wanted = build_desired_people(
            erased.snapshot, known.live, rules, rostering.client_partner_id, rostering.suffix, known_orgs
        )
    except Refusal as refusal:
        _raise_with_causes(refusal, snapshot, roster_settings, last, known)
    gates = _check_gates(snapshot, roster_settings, last, known, wanted.desired)
    snapshot = erased.snapshot
    desired, unsettled = open_enrollments(wanted.desired, known.enrollment_index)
    live = _add_open_enrollments(reader, known, unsettled)
    earlier_sessions = _read_earlier_sessions(reader, known.customer_number)
    decision = decide_roster(
        RosterInputs(
            desired,
            live,
            unsettled,
            rules,
            full_kinds=_list_complete_kinds(snapshot),
            has_waiting_hold=known.customer_number is not None
            and find_roster_hold(reader.connection, known.customer_number) is not None,
            findings=gates.findings,
            sessions=pl.concat([snapshot.sessions, earlier_sessions]),
            merge_plan=wanted.merge_plan,
        )
    )
    decision = report_erased_people(decision, erased.quarantine)
    saved_frames = snapshots.select_own_rows(snapshot, wanted.desired, live)
    saved_frames["sessions"] = merge_sessions(snapshot.sessions, earlier_sessions)
    match_with = last.match_with if last and decision.has_new_matches else rostering.match_with
    last_full_at = snapshots.read_earlier_roster(reader, known.customer_number).whole_at
    lowered_warnings = warn_about_lowered_limits(lowered_limits, roster_settings.origins)
    return RosterComparison(
        wanted.desired,
        decision,
        count_decision_impact(reader, known.customer_number, live, decision),
        saved_frames,
        _build_facts(snapshot, saved_frames, match_with, last_full_at),
        (
            *spelled.diagnostics,
            *wanted.diagnostics,
            *gates.diagnostics,
            *lowered_warnings,
            *_warn_other_version(snapshot, roster_settings),
        ),
        _is_doubtful(snapshot, gates),
    )


def _raise_with_causes(
    refusal: Refusal,
    snapshot: Snapshot,
    roster_settings: RosterSettings,
    last: LastRoster | None,
    known: StoredRoster,
) -> NoReturn:
    """Raise the refusal of the gates, which says more of the cause, or else the given one.

    Of the file of another customer, quarantined rows are a consequence, so that they are left out."""
    try:
        _check_gates(snapshot, roster_settings, last, known)
    except Refusal as by_gates:
        if not snapshot.orgs.height or roster_settings.rostering.client_partner_id in snapshot.orgs["sourced_id"]:
            raise
        causes = [each for each in by_gates.diagnostics if each.code != "most-rows-quarantined"]
        raise Refusal([*refusal.diagnostics, *causes]) from refusal
    raise refusal


def _warn_other_version(snapshot: Snapshot, roster_settings: RosterSettings) -> Iterator[Diagnostic]:
    """Warn if the roster has another OneRoster version than the customer's file says; the roster's own counts."""
    version = roster_settings.rostering.version
    if snapshot.version != version:
        yield build_warning(
            "version-differs",
            f"the roster is OneRoster {snapshot.version}, but rostering.version is {version}; "
            f"it is read as {snapshot.version}",
            roster_settings.origins.get("rostering.version"),
            f'Write version: "{snapshot.version}" if the source has changed.',
        )


def _check_gates(
    snapshot: Snapshot,
    roster_settings: RosterSettings,
    last: LastRoster | None,
    known: StoredRoster,
    desired: DesiredRoster | None = None,
) -> GateResult:
    clashing, across = 0, PeopleAcrossCustomers()
    if desired is not None:
        clashing, across = desired.count_clashing(), find_new_people(desired.frames[Kind.USER], known.live.users)
        if across.needs_others:
            across = replace(across, others=roster_settings.find_others())
    gates = check_gates(
        GateInput(snapshot, last, known.live, _count_active(known.live), clashing, across),
        build_gate_exceptions(roster_settings.rostering, roster_settings.origins),
        clock.get_current_day(roster_settings.customer.timezone),
    )
    if gates.refusals:
        raise Refusal(gates.refusals)
    return gates


def _build_rules(
    reader: store_read.Reader, known: StoredRoster, roster_settings: RosterSettings, last: LastRoster | None
) -> tuple[RosterRules, tuple[str, ...]]:
    """Return the rules, and the dotted paths of the limits that the policy lowers."""
    number, rostering, origins = known.customer_number, roster_settings.rostering, roster_settings.origins
    limits, lowered = clamp_limits(rostering.limits, roster_settings.ceilings)
    window_start = find_window_start(limits)
    earlier = store_read.read_limit_uses(reader.connection, number, window_start) if number is not None else None
    newcomers = store_read.count_newcomers(reader.connection, number, window_start) if number is not None else 0
    limit_rules = build_limit_rules(roster_settings.customer, rostering, limits, earlier, origins)
    rules = build_roster_rules(
        rostering,
        replace(limit_rules, newcomers=newcomers),
        roster_settings.administrators,
        last.match_with if last else None,
        origins,
    )
    return rules, lowered


def _is_doubtful(snapshot: Snapshot, gates: GateResult) -> bool:
    """Return True if a gate keeps the snapshot from being the last good roster.

    The changes of a delta that were not held are applied, so the saved roster must follow unless everything is held."""
    whole = _list_complete_kinds(snapshot) == frozenset(ROSTER_KINDS)
    return any(whole or finding.holds_everything for finding in gates.findings)


def _exclude_erased(reader: store_read.Reader, known: StoredRoster, snapshot: Snapshot) -> ErasureResult:
    """Return the snapshot without erased people, except those whose erasure was lifted."""
    if known.customer_number is None or not reader.has_erased_people(known.customer_number):
        return exclude_erased_people(snapshot, pl.Series("key", [], dtype=pl.String))
    keys = store_read.filter_erased_keys(
        reader.connection, reader.key, known.customer_number, list_named_people(snapshot)
    )
    active = known.live.users.filter(~pl.col("tombstoned"))["sourced_id"].drop_nulls()
    return exclude_erased_people(snapshot, keys.filter(~keys.is_in(active.implode())))


def _read_earlier_sessions(reader: store_read.Reader, customer_number: CustomerNumber | None) -> pl.DataFrame:
    sessions = reader.load_snapshot_part(customer_number, "sessions") if customer_number is not None else None
    return make_empty_sessions() if sessions is None else sessions


def _read_last_roster(reader: store_read.Reader, customer_number: CustomerNumber | None) -> LastRoster | None:
    source = reader.read_last_source(customer_number) if customer_number is not None else None
    if source is None:
        return None
    facts = source.facts
    return LastRoster(
        sha256=source.sha256,
        fetched_at=source.fetched_at,
        rows=snapshots.count_source_rows(source.rows, facts),
        facts=snapshots.parse_source_facts(facts),
        roots=tuple(facts.get("roots", ())),
        match_with=facts.get("match_with"),
    )


def _build_facts(
    snapshot: Snapshot, kept: Mapping[str, pl.DataFrame], match_with: str | None, last_full_at: Moment | None
) -> Mapping[str, object]:
    """Return the facts that the next roster is checked against.

    match_with: the earlier setting while a change of it holds people. last_full_at: moment of the last full fetch
    before this one."""
    return {
        snapshots.SOURCE: snapshots.build_source_record(snapshot, kept),
        "roots": list(list_root_orgs(snapshot)),
        "match_with": match_with,
        snapshots.FULL_ROSTER_AT: snapshots.find_full_roster_time(snapshot, last_full_at),
    }


def _list_complete_kinds(snapshot: Snapshot) -> frozenset[Kind]:
    """Return the kinds whose rows may be removed if the source lacks them. OneRoster 1.2 has people in two files."""
    files = {kind: (kind.plural, "roles") if kind is Kind.USER else (kind.plural,) for kind in ROSTER_KINDS}
    return frozenset(kind for kind, stems in files.items() if all(snapshot.is_full(stem) for stem in stems))


def _count_active(live: LiveRoster) -> Mapping[Kind, int]:
    active = {kind: live.get_frame(kind).filter(~pl.col("tombstoned")).height for kind in ROSTER_KINDS}
    return {**active, Kind.ENROLLMENT: live.enrollments_total}


def summarize_source(snapshot: Snapshot, freshness: Freshness) -> SourceSummary:
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


def _add_open_enrollments(reader: store_read.Reader, known: StoredRoster, unsettled: OpenEnrollments) -> LiveRoster:
    """Return the roster with its open enrollments, and others that have the sourcedId of an open row of the file."""
    if known.customer_number is None:
        return known.live
    columns = list(make_empty_live_frame(Kind.ENROLLMENT).columns)
    enrollments = pl.concat(
        [
            store_read.read_enrollments_by_id(reader.connection, known.customer_number, unsettled.live_ids).select(
                columns
            ),
            store_read.read_enrollments_by_key(
                reader.connection, known.customer_number, unsettled.desired["sourced_id"]
            ).select(columns),
        ]
    ).unique("id", keep="first", maintain_order=True)
    return replace(known.live, enrollments=enrollments)


def count_decision_impact(
    reader: store_read.Reader, customer_number: CustomerNumber | None, live: LiveRoster, decision: RosterDecision
) -> Impact:
    """Count the impact of every row that is removed or gets a new ID."""

    def list_touched_ids(kind: Kind) -> pl.Series:
        frame = decision.changes.get(kind)
        if frame is None:
            return pl.Series("live_id", [], dtype=pl.Int64)
        actions = ["delete", "suspend", "conclude", "rekey"]
        return frame.filter(pl.col("action").is_in(actions))["live_id"].drop_nulls().unique().sort()

    return count_impact(
        reader, customer_number, live, {kind: list_touched_ids(kind) for kind in (Kind.USER, Kind.CLASS, Kind.ORG)}
    )


def count_impact(
    reader: store_read.Reader,
    customer_number: CustomerNumber | None,
    live: LiveRoster,
    ids_by_kind: Mapping[Kind, pl.Series],
) -> Impact:
    """Count the rows that belong to the given people, classes and orgs."""
    people, classes, orgs = (ids_by_kind[kind] for kind in (Kind.USER, Kind.CLASS, Kind.ORG))
    if customer_number is None or not (people.len() or classes.len() or orgs.len()):
        return _build_empty_impact()
    assignments = store_read.read_assignments(reader.connection, customer_number)

    def assigned(column: str) -> pl.DataFrame:
        return assignments.group_by(pl.col(column).alias("id")).agg(pl.len().cast(pl.Int64).alias("assignments"))

    by_account = store_read.count_enrollments(reader.connection, customer_number, "account_id", people)
    by_class = store_read.count_enrollments(reader.connection, customer_number, "class_id", classes)
    facts = live.users.select(
        "id", pl.col("lti_links").cast(pl.Int64), pl.col("has_password").cast(pl.Boolean).alias("password")
    )
    signed_in = reader.read_last_sign_ins(people).select(
        pl.col("account_id").alias("id"), pl.col("at").alias("last_sign_in")
    )
    schools = live.classes.filter(~pl.col("tombstoned")).group_by(pl.col("school").alias("sourced_id"))
    active = live.users.filter(~pl.col("tombstoned")).select(pl.col("id").alias("account_id"))
    staff = live.roles.join(active, on="account_id", how="semi").group_by(pl.col("org").alias("sourced_id"))
    return Impact(
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


def _build_empty_impact() -> Impact:
    def empty(kind: Kind) -> pl.DataFrame:
        return pl.DataFrame(schema={"id": pl.Int64, **{each.name: each.type for each in IMPACT_COLUMNS[kind]}})

    return Impact(people=empty(Kind.USER), classes=empty(Kind.CLASS), orgs=empty(Kind.ORG))
