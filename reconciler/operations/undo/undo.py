"""Making the plan that takes a run back. It is shown, saved and applied like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

import reconciler
from reconciler.clock import now
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.yaml.documents import customer_from_document
from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Plan
from reconciler.operations.plan.documents import CATALOGUE_NAME, taken_usernames
from reconciler.operations.plan.roster import belongings_of, known_roster
from reconciler.operations.plan.rules import capped, restraint, window_since
from reconciler.operations.undo.documents import UndoneDocuments, undone_documents
from reconciler.operations.undo.remarks import left_alone, moved, opening, what_sources_say
from reconciler.operations.workspace import Workspace
from reconciler.planning.customer_plan import customer_plan
from reconciler.planning.holds.limits import CLASSES, ENROLLMENTS, SCOPE_NARROWED, USERS
from reconciler.planning.holds.restrain import Restrained, Restraint, restrain
from reconciler.planning.live import Live, with_roles
from reconciler.planning.plan_id import plan_id
from reconciler.planning.roster.merges import both_halves_or_none
from reconciler.planning.roster.plan_roster import RosterDecision
from reconciler.planning.undo.undo import SPARED, Undone, Uses, counts_of, undo_roster
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord, RunRecord

#: What an undo is held to: what it deletes. That it gives people back what they had before needs no approval.
LIMITS = (USERS, SCOPE_NARROWED, CLASSES, ENROLLMENTS)

NO_LIMIT = 1 << 62

_Touched = Mapping[Kind, pl.DataFrame]


def undo_plan(workspace: Workspace, number: int) -> Plan:
    """Raises Refusal where there is no such run, or what it changed cannot be told any more."""
    with workspace.store.reading() as reader:
        run = reader.run(number)
        if run is None:
            raise Refusal([error("unknown-run", f"there is no run {number}", hint="`reconciler history` lists them")])
        made = _catalogue(reader, run) if run.customer == CATALOGUE else _customer(workspace, reader, run)
    customers = (made,)
    return Plan(
        plan_id=plan_id(workspace.store.identity, customers, number),
        created_at=now(),
        tool_version=reconciler.__version__,
        store=workspace.store.identity,
        customers=customers,
        undoes=number,
    )


def _catalogue(reader: Reader, run: RunRecord) -> CustomerPlan:
    undone = undone_documents(reader, CATALOGUE, None, run.id, people=0, remaining=0)
    return customer_plan(
        CATALOGUE,
        CATALOGUE_NAME,
        seen=undone.documents.seen,
        declared=undone.changes,
        unchanged_documents=undone.documents.unchanged(undone.changes),
        settings=undone.documents.settings(undone.changes),
        diagnostics=[
            opening(run),
            *left_alone(pl.DataFrame(schema=SPARED), undone.spared, 0, lambda kind, key: key),
            *what_sources_say(undone.changes, {}, rows=False),
        ],
    )


def _customer(workspace: Workspace, reader: Reader, run: RunRecord) -> CustomerPlan:
    record = next((each for each in reader.customers().values() if each.id == run.customer_id), None)
    if record is None:
        raise Refusal([error("no-longer-kept", f"nothing of {run.customer} is in the store any more")])
    purged = reader.purged_before(record.slug)
    if purged is not None and run.finished_at < purged:
        raise Refusal([_purged(run, purged)])
    live, touched = _gathered(reader, record, run)
    undone = undo_roster(touched, live, _erased(reader, record, touched[Kind.USER]), _uses(reader, record, touched))
    documents = _documents(reader, record, run, live, undone)
    if record.tombstoned and (Kind.CUSTOMER, documents.documents.customer) not in documents.documents.wanted:
        raise Refusal(
            [
                error(
                    "customer-removed",
                    f"{record.slug} was removed since run {run.id}",
                    hint=f"undo the run that removed it first: reconciler history {record.slug}",
                )
            ]
        )
    held = _restrained(workspace, reader, record, live, undone)
    decision = RosterDecision(
        changes=held.changes,
        refresh={},
        limits=held.limits,
        counts=counts_of(held.changes, live),
        aside=undone.spared.clear(),
        diagnostics=(),
        causes=held.causes,
    )
    return customer_plan(
        documents.documents.customer,
        documents.documents.name,
        seen=documents.documents.seen,
        declared=documents.changes,
        unchanged_documents=documents.documents.unchanged(documents.changes),
        settings=documents.documents.settings(documents.changes),
        roster=decision,
        belongings=belongings_of(reader, record.id, live, decision),
        diagnostics=_remarks(workspace, reader, record, run, undone, documents),
    )


def _purged(run: RunRecord, purged: str) -> Diagnostic:
    return error(
        "no-longer-kept",
        f"run {run.id} is older than what is kept of {run.customer}: what people were before {purged} was purged",
        hint="nothing can be taken back from before that; `reconciler history --certificates` lists what was purged",
    )


def _gathered(reader: Reader, record: CustomerRecord, run: RunRecord) -> tuple[Live, _Touched]:
    """What the store holds, and what the run touched of it."""
    touched = {kind: reader.touched(kind, record.id, run.id) for kind in ROSTER_KINDS}
    live = known_roster(reader, record.id).live
    return replace(
        live,
        users=with_roles(live.users, live.roles),
        enrollments=reader.enrollments_by_id(record.id, touched[Kind.ENROLLMENT]["id"]),
    ), touched


def _erased(reader: Reader, record: CustomerRecord, people: pl.DataFrame) -> pl.Series:
    return reader.erased_keys(record.id, people["was"].struct.field("sourced_id"))


def _uses(reader: Reader, record: CustomerRecord, touched: _Touched) -> Uses:
    """Of what was not there before the run, and so may be deleted."""

    def ids(kind: Kind) -> pl.Series:
        was_gone = pl.col("was").struct.field("tombstoned_at").is_not_null()
        return touched[kind].filter(pl.col("made") | was_gone)["id"]

    return Uses(
        reader.enrollment_counts(record.id, account_ids=ids(Kind.USER)),
        reader.enrollment_counts(record.id, class_ids=ids(Kind.CLASS)),
    )


def _documents(reader: Reader, record: CustomerRecord, run: RunRecord, live: Live, undone: Undone) -> UndoneDocuments:
    alive = live.users.filter(~pl.col("tombstoned"))
    going = undone.ending(Kind.USER)
    rostered = alive.filter(pl.col("sourced_id").is_not_null() & ~pl.col("id").is_in(going.implode()))
    # Who goes by a row of its own is counted there, and not once more with the customer.
    people = alive.height - going.len()
    found = undone_documents(reader, record.slug, record, run.id, people=people, remaining=rostered.height)
    customer = found.documents.wanted.get((Kind.CUSTOMER, found.documents.customer))
    clashes = taken_usernames(customer, record, reader) if customer is not None else ()
    if clashes:
        raise Refusal(clashes)
    return found


def _restrained(workspace: Workspace, reader: Reader, record: CustomerRecord, live: Live, undone: Undone) -> Restrained:
    """The one place that knows how limits are asked. They are those of the configuration that was applied last."""
    found = restrain(undone.changes, live.users, live, _restraint(workspace, reader, record))
    counted = pl.col("limits").str.split(",").list.eval(pl.element().filter(pl.element().is_in(LIMITS)))
    named = pl.when(counted.list.len() > 0).then(counted.list.join(","))
    whole = both_halves_or_none(found.changes)
    return replace(
        found,
        changes={kind: frame.with_columns(named.alias("limits")) for kind, frame in whole.items() if frame.height},
        limits=tuple(limit for limit in found.limits if limit.name in LIMITS),
    )


def _restraint(workspace: Workspace, reader: Reader, record: CustomerRecord) -> Restraint:
    customer = customer_from_document(record.document)
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering):
        return _deletions_only(Restraint())
    limits, _ = capped(rostering.limits, workspace.repository.settings.policy.limits)
    earlier = reader.limit_uses(record.id, window_since(limits))
    # What was approved in advance was a roster's doing, and no undo's.
    return _deletions_only(replace(restraint(customer, rostering, limits, earlier), approvals=()))


def _deletions_only(rules: Restraint) -> Restraint:
    unlimited = replace(rules.thresholds.rekeys, percent=100, floor=NO_LIMIT)
    return replace(
        rules,
        thresholds=replace(rules.thresholds, rekeys=unlimited, updates=unlimited, role_escalations=unlimited),
    )


def _remarks(
    workspace: Workspace,
    reader: Reader,
    record: CustomerRecord,
    run: RunRecord,
    undone: Undone,
    documents: UndoneDocuments,
) -> list[Diagnostic]:
    key = workspace.store.key
    customer = documents.documents.wanted.get((Kind.CUSTOMER, documents.documents.customer))
    return [
        opening(run),
        *left_alone(
            undone.spared,
            documents.spared,
            _lost(run, undone),
            lambda kind, sourced_id: key.pseudonym(kind, record.slug, sourced_id),
        ),
        *moved(reader.moved_identities(record.id, run.id)),
        *what_sources_say(documents.changes, customer.document if customer else {}, rows=bool(undone.changes)),
    ]


def _lost(run: RunRecord, undone: Undone) -> int:
    """Rows that the run says it changed and of which nothing is kept: neither what they were nor that it made them."""
    lost = 0
    for kind in ROSTER_KINDS:
        told = run.counts.get(kind.value)
        done = sum(told.values()) if isinstance(told, Mapping) else 0
        lost += max(0, done - undone.known[kind])
    return lost
