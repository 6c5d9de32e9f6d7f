"""Make the plan that reverses a run; it is shown, saved and applied like any other."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

import reconciler
from reconciler.clock import get_current_moment
from reconciler.config.models import OneRosterRostering
from reconciler.config.validation import parse_customer_document
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import Moment, RunId
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Plan
from reconciler.operations.plan.documents import CATALOG_NAME, find_taken_usernames
from reconciler.operations.plan.roster import count_decision_impact, read_stored_roster
from reconciler.operations.plan.rules import build_limit_rules, clamp_limits, find_window_start
from reconciler.operations.undo import remarks
from reconciler.operations.undo.documents import DocumentUndo, plan_document_undo
from reconciler.operations.workspace import Workspace
from reconciler.planning import holds
from reconciler.planning.customer_plan import PlannedRoster, build_customer_plan
from reconciler.planning.decision import RosterDecision
from reconciler.planning.frames import LiveRoster, add_roles, count_changes
from reconciler.planning.plan_id import compute_plan_id
from reconciler.planning.undo import SPARED_SCHEMA, EnrollmentUses, UndoResult, undo_roster
from reconciler.store.read import (
    CustomerRecord,
    Reader,
    RunRecord,
    count_enrollments,
    count_moved_identities,
    filter_erased_keys,
    list_enrollments_in_places,
    read_administrators,
    read_enrollments_by_id,
    read_limit_uses,
    read_touched_rows,
)
from reconciler.store.removal import find_purge_moment

#: limits that apply to an undo: only those of removals, because restored values need no approval
LIMITS = (holds.USERS, holds.SCOPE_NARROWED, holds.CLASSES, holds.ENROLLMENTS)

NO_LIMIT = 1 << 62

_RowsOfRun = Mapping[Kind, pl.DataFrame]


def build_undo_plan(workspace: Workspace, number: RunId) -> Plan:
    """Return the plan that reverses a run. Raises Refusal if there is no such run, or its history was purged."""
    with workspace.store.open_reader() as reader:
        run = reader.find_run(number)
        if run is None:
            raise Refusal(
                [build_error("unknown-run", f"unknown run {number}", hint="List the runs: reconciler history")]
            )
        plan = (
            _plan_catalog_undo(reader, run) if run.customer == CATALOG else _plan_customer_undo(workspace, reader, run)
        )
    customers = (plan,)
    return Plan(
        plan_id=compute_plan_id(workspace.store.identity, workspace.store.key.effect_key, customers, number),
        created_at=get_current_moment(),
        tool_version=reconciler.__version__,
        store=workspace.store.identity,
        customers=customers,
        undoes=number,
    )


def _plan_catalog_undo(reader: Reader, run: RunRecord) -> CustomerPlan:
    undone = plan_document_undo(reader, CATALOG, None, run.id, people_count=0, remaining_count=0)
    return build_customer_plan(
        CATALOG,
        CATALOG_NAME,
        undone.documents.build_planned(undone.changes),
        hold_key=reader.key.hold_key,
        diagnostics=[
            remarks.describe_undone_run(run),
            *remarks.describe_skipped(pl.DataFrame(schema=SPARED_SCHEMA), undone.skipped, 0, lambda kind, key: key),
            *remarks.warn_about_sources(undone.changes, {}, has_roster_changes=False),
        ],
    )


def _plan_customer_undo(workspace: Workspace, reader: Reader, run: RunRecord) -> CustomerPlan:
    record = next((each for each in reader.read_customers().values() if each.id == run.customer_id), None)
    if record is None:
        raise Refusal([build_error("no-longer-kept", f"{run.customer} is no longer in the store")])
    purged = find_purge_moment(reader.connection, reader.list_customer_ids(record.slug))
    if purged is not None and run.finished_at < purged:
        raise Refusal([_describe_purged_run(run, purged)])
    live, touched = _read_touched_rows(reader, record, run)
    undone = undo_roster(
        touched, live, _read_erased_keys(reader, record, touched[Kind.USER]), _count_uses(reader, record, touched)
    )
    documents = _plan_documents(reader, record, run, live, undone)
    if record.tombstoned and (Kind.CUSTOMER, documents.documents.customer) not in documents.documents.wanted:
        raise Refusal(
            [
                build_error(
                    "customer-removed",
                    f"{record.slug} was removed since run {run.id}",
                    hint=f"Undo the run that removed it first. Find that run: reconciler history {record.slug}",
                )
            ]
        )
    held = _apply_undo_limits(workspace, reader, record, live, undone)
    decision = RosterDecision(
        changes=held.changes,
        refresh={},
        limits=held.limits,
        counts=count_changes(held.changes, live),
        quarantine=undone.spared_rows.clear(),
        diagnostics=(),
        causes=held.causes,
    )
    return build_customer_plan(
        documents.documents.customer,
        documents.documents.name,
        documents.documents.build_planned(documents.changes),
        PlannedRoster(decision, count_decision_impact(reader, record.id, live, decision)),
        hold_key=reader.key.hold_key,
        diagnostics=_collect_diagnostics(workspace, reader, record, run, undone, documents),
    )


def _describe_purged_run(run: RunRecord, purged_at: Moment) -> Diagnostic:
    return build_error(
        "no-longer-kept",
        f"cannot undo run {run.id}: the history of {run.customer} before {purged_at} was purged",
        hint="Run `reconciler history --certificates` to see what was purged.",
    )


def _read_touched_rows(reader: Reader, record: CustomerRecord, run: RunRecord) -> tuple[LiveRoster, _RowsOfRun]:
    """Return the customer's roster in the store, and the rows that the run touched. Of enrollments, the roster has
    these rows and those that are in their former places."""
    connection = reader.connection
    touched = {kind: read_touched_rows(connection, kind, record.id, run.id) for kind in ROSTER_KINDS}
    live = read_stored_roster(reader, record.id).live
    rows, was = touched[Kind.ENROLLMENT], pl.col("was").struct
    places = rows.select(was.field("user").alias("account_id"), was.field("class").alias("class_id")).drop_nulls()
    ids = pl.concat([rows["id"], list_enrollments_in_places(connection, record.id, places)])
    enrollments = read_enrollments_by_id(connection, record.id, ids)
    return replace(live, users=add_roles(live.users, live.roles), enrollments=enrollments), touched


def _read_erased_keys(reader: Reader, record: CustomerRecord, people: pl.DataFrame) -> pl.Series:
    return filter_erased_keys(reader.connection, reader.key, record.id, people["was"].struct.field("sourced_id"))


def _count_uses(reader: Reader, record: CustomerRecord, touched: _RowsOfRun) -> EnrollmentUses:
    """Count the enrollments of people and classes that did not exist before the run, and so may be deleted."""

    def list_new_ids(kind: Kind) -> pl.Series:
        was_gone = pl.col("was").struct.field("tombstoned_at").is_not_null()
        return touched[kind].filter(pl.col("made") | was_gone)["id"]

    return EnrollmentUses(
        count_enrollments(reader.connection, record.id, "account_id", list_new_ids(Kind.USER)),
        count_enrollments(reader.connection, record.id, "class_id", list_new_ids(Kind.CLASS)),
    )


def _plan_documents(
    reader: Reader, record: CustomerRecord, run: RunRecord, live: LiveRoster, undone: UndoResult
) -> DocumentUndo:
    active = live.users.filter(~pl.col("tombstoned"))
    ending = undone.list_ending_ids(Kind.USER)
    rostered = active.filter(pl.col("sourced_id").is_not_null() & ~pl.col("id").is_in(ending.implode()))
    # People removed by a row of their own are not counted again with the customer.
    people = active.height - ending.len()
    documents = plan_document_undo(
        reader, record.slug, record, run.id, people_count=people, remaining_count=rostered.height
    )
    customer = documents.documents.wanted.get((Kind.CUSTOMER, documents.documents.customer))
    clashes = find_taken_usernames(customer, record, reader) if customer is not None else ()
    if clashes:
        raise Refusal(clashes)
    return documents


def _apply_undo_limits(
    workspace: Workspace, reader: Reader, record: CustomerRecord, live: LiveRoster, undone: UndoResult
) -> holds.HoldState:
    """Hold the removals that exceed the limits last applied."""
    rules = _build_undo_limit_rules(workspace, reader, record)
    state = holds.settle_changes(holds.hold_changes(undone.changes, holds.HoldInputs(live.users, live, rules)))
    counted = pl.col("limits").str.split(",").list.eval(pl.element().filter(pl.element().is_in(LIMITS)))
    named = pl.when(counted.list.len() > 0).then(counted.list.join(","))
    return replace(
        state,
        changes={
            kind: frame.with_columns(named.alias("limits")) for kind, frame in state.changes.items() if frame.height
        },
        limits=tuple(limit for limit in state.limits if limit.name in LIMITS),
    )


def _build_undo_limit_rules(workspace: Workspace, reader: Reader, record: CustomerRecord) -> holds.LimitRules:
    customer = parse_customer_document(record.document)
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering):
        return _limit_deletions_only(holds.LimitRules())
    limits, _ = clamp_limits(rostering.limits, workspace.repository.settings.policy.limits)
    earlier = read_limit_uses(reader.connection, record.id, find_window_start(limits))
    # Pre-approvals are for rosters, not for an undo.
    return _limit_deletions_only(replace(build_limit_rules(customer, rostering, limits, earlier), approvals=()))


def _limit_deletions_only(rules: holds.LimitRules) -> holds.LimitRules:
    unlimited = replace(rules.thresholds.rekeys, percent=100, floor=NO_LIMIT)
    return replace(
        rules,
        thresholds=replace(rules.thresholds, rekeys=unlimited, updates=unlimited, role_escalations=unlimited),
    )


def _collect_diagnostics(
    workspace: Workspace,
    reader: Reader,
    record: CustomerRecord,
    run: RunRecord,
    undone: UndoResult,
    documents: DocumentUndo,
) -> list[Diagnostic]:
    key = workspace.store.key
    customer = documents.documents.wanted.get((Kind.CUSTOMER, documents.documents.customer))
    return [
        remarks.describe_undone_run(run),
        *remarks.describe_skipped(
            undone.spared_rows,
            documents.skipped,
            _count_lost_rows(run, undone),
            lambda kind, sourced_id: key.make_pseudonym(kind, record.slug, sourced_id),
        ),
        *remarks.describe_invitations(
            documents.changes,
            customer.document if customer else {},
            read_administrators(reader.connection, record.id),
        ),
        *remarks.describe_moved_identities(count_moved_identities(reader.connection, record.id, run.id)),
        *remarks.warn_about_sources(
            documents.changes, customer.document if customer else {}, has_roster_changes=bool(undone.changes)
        ),
    ]


def _count_lost_rows(run: RunRecord, undone: UndoResult) -> int:
    """Count the rows that the run changed according to its counts, but that have no history any more."""
    lost = 0
    for kind in ROSTER_KINDS:
        counts = run.counts.get(kind.value)
        changed = sum(counts.values()) if isinstance(counts, Mapping) else 0
        lost += max(0, changed - undone.known_counts[kind])
    return lost
