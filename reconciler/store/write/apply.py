"""Apply one customer's plan under the customer's lock, in one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl
from pydantic import SecretStr

from reconciler.clock import get_current_moment
from reconciler.model.change import Change, Delete, get_action
from reconciler.model.ids import CustomerId, CustomerNumber, Moment, PlanId, RunId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import lock_customer
from reconciler.store.errors import StoreProblem
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.open import Store
from reconciler.store.read.records import HoldScope
from reconciler.store.write import documents, runs, staleness
from reconciler.store.write.administrators import Invitation, save_administrators
from reconciler.store.write.journal import record_document
from reconciler.store.write.limit_uses import record_limit_uses
from reconciler.store.write.memberships import save_memberships
from reconciler.store.write.platforms import save_platforms
from reconciler.store.write.renames import find_former_id, refuse_taken_id, rename_customer
from reconciler.store.write.roster import write_roster
from reconciler.store.write.rows import TABLES, WriteContext, refresh_fingerprints
from reconciler.store.write.run_effects import save_run_effects
from reconciler.store.write.secrets import save_secrets
from reconciler.store.write.snapshots import overtake_snapshot, save_snapshot


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The result of applying a customer's plan."""

    #: the new run; None if there was nothing to write
    run: RunId | None
    #: (username, path of the page to choose a password), to be shown once
    invitations: tuple[Invitation, ...] = ()


# No slots, so that properties can be cached.
@dataclass(frozen=True)
class ApplyJob:
    """One customer's plan to apply: all changes that are not held, or all if the hold was approved."""

    plan: CustomerPlan
    plan_id: PlanId
    actor: str
    #: True if a person approved the hold of the plan.
    approved: bool
    git_commit: str | None = None
    #: Values by dotted path in the customer's document.
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    #: The run that the plan undoes; None for any other plan.
    undoes: RunId | None = None
    #: Digest of the files that the customer's configuration was read from; None if it was read from none.
    inputs: str | None = None
    #: Digests of the effects that are carried out, 8 bytes each.
    effects: bytes = b""
    #: Called with the invitations, maybe none, before the transaction commits; if it raises, nothing is written.
    hand_over: Callable[[RunId, tuple[Invitation, ...]], object] = lambda run, invitations: None

    @cached_property
    def document_changes(self) -> tuple[Change, ...]:
        """Return the document changes to apply."""
        return tuple(change for change in self.plan.document_changes if self.approved or not change.held)

    @cached_property
    def rows(self) -> Mapping[Kind, pl.DataFrame]:
        """Return the change frames with the rows to apply, without empty frames."""
        if not self.plan.roster_applies:
            return {}
        frames = {
            kind: frame if self.approved else frame.filter(~pl.col("held")) for kind, frame in self.plan.roster.items()
        }
        return {kind: frame for kind, frame in frames.items() if frame.height}

    @property
    def has_changes(self) -> bool:
        return bool(self.document_changes or self.rows)

    @property
    def former_id(self) -> CustomerId | None:
        """Return the customer's present ID if the plan renames it, else None."""
        return find_former_id(self.document_changes)

    @property
    def has_fresh_roster(self) -> bool:
        """Return True if the plan compared a fresh roster, so that its hold is the customer's only roster hold."""
        return self.plan.source is not None and self.plan.roster_applies

    @property
    def settles_roster(self) -> bool:
        """Return True if an earlier roster hold ends with this apply."""
        removed = any(isinstance(change, Delete) and change.kind is Kind.CUSTOMER for change in self.document_changes)
        return self.has_fresh_roster or removed


def apply_customer(store: Store, job: ApplyJob, lock_timeout: float = 0.0) -> ApplyResult:
    """Write a customer's plan in one transaction. lock_timeout: seconds to wait for another apply of the same customer.

    Raises StalePlan if the store is not what the plan saw, StoreProblem if the customer is locked or the
    database refuses; nothing is written then.
    """
    with (
        lock_customer(store.dialect, job.plan.id, lock_timeout, former_id=job.former_id) as connection,
        connection.open_write_transaction(),
    ):
        if job.plan.id == CATALOG:
            return _apply_catalog(connection, store, job)
        return _apply_customer_plan(connection, store, job)


def _apply_customer_plan(connection: Connection, store: Store, job: ApplyJob) -> ApplyResult:
    started = get_current_moment()
    plan = job.plan
    current = staleness.read_customer_state(connection, job.former_id or plan.id)
    if job.former_id is not None:
        refuse_taken_id(connection, plan.id)
    unchanged = staleness.refuse_stale_plan(connection, plan, job.rows, current)
    if current is not None:
        if job.has_fresh_roster:
            staleness.refuse_later_hold(connection, plan, current, started)
        staleness.refuse_erased_people(connection, store.key, current.id, plan, job.rows)
    run = _generate_run_id(connection) if job.has_changes else None
    invitations: tuple[Invitation, ...] = ()
    customer = current.id if current else None
    if run is not None:
        if customer is None:
            customer = _create_customer(connection, job, run)
        writing = WriteContext(connection, store.key, run, customer, plan.id, started, job.undoes)
        invitations = _write_changes(writing, job, current)
    if customer is None:
        return ApplyResult(None)
    if unchanged:
        # After a write outside reconciler, a fingerprint from the plan might hide that write.
        for kind, frame in plan.fingerprint_refresh.items():
            refresh_fingerprints(connection, TABLES[kind], frame)
    if job.has_fresh_roster and plan.source is not None and plan.is_doubtful and not job.approved:
        overtake_snapshot(connection, customer, plan.source.fetched_at)
    elif job.has_fresh_roster and plan.source is not None and plan.snapshot:
        last_run = run or (current.version[0] if current else RunId(0))
        save_snapshot(connection, customer, last_run, plan.source, plan.snapshot, plan.facts)
    if job.undoes is None:
        _save_holds(connection, customer, job, started)
    if run is not None:
        connection.execute(
            "UPDATE customers SET last_run = :run WHERE id = :customer", {"run": run, "customer": customer}
        )
        _record_apply(connection, store, job, run, customer, started)
        # Last before the commit: if the links cannot be handed over, nothing is written.
        job.hand_over(run, invitations)
    return ApplyResult(run, invitations)


def _save_holds(connection: Connection, customer_number: CustomerNumber, job: ApplyJob, now: Moment) -> None:
    """Replace the customer's holds with the plan's. Not called for an undo, which knows nothing of holds."""
    plan = job.plan
    hold = None if job.approved else plan.hold
    since = runs.find_hold_start(connection, customer_number, hold.id) if hold else None
    scopes = HoldScope if job.settles_roster else [HoldScope.DECLARED]
    runs.delete_holds(connection, customer_number, scopes, except_hold=hold.id if hold else None)
    if hold is not None:
        runs.save_hold(connection, customer_number, runs.determine_hold_scope(plan), hold, job.plan_id, since or now)


def _create_customer(connection: Connection, job: ApplyJob, run: RunId) -> CustomerNumber:
    settings = job.plan.settings
    if settings is None or "customer" not in settings:
        raise StoreProblem(
            "unknown-customer", f"customer {job.plan.id} is not in the store, nor in the plan", "Make a new plan."
        )
    return documents.create_customer(connection, job.plan.id, run, settings)


def _write_changes(
    context: WriteContext, job: ApplyJob, current: staleness.CustomerState | None
) -> tuple[Invitation, ...]:
    connection, plan = context.connection, job.plan
    settings: Mapping[str, Any] = plan.settings or {}
    invitations: tuple[Invitation, ...] = ()
    of_customer = next((change for change in job.document_changes if change.kind is Kind.CUSTOMER), None)
    if of_customer is not None and current is not None:
        facts = {**context.facts, "action": get_action(of_customer).value}
        record_document(connection, Kind.CUSTOMER, "customers", "t.id = :customer", facts)
    if of_customer is not None:
        save_platforms(context, {} if isinstance(of_customer, Delete) else settings["customer"])
    if isinstance(of_customer, Delete):
        documents.entomb_customer(connection, context.customer_number, context.now)
    elif of_customer is not None:
        if current is not None:
            documents.write_customer(connection, plan.id, context.customer_number, settings)
        if job.former_id is not None:
            rename_customer(context, job.former_id)
        save_secrets(context, settings["customer"], job.secrets)
        invitations = save_administrators(context, settings["customer"], job.secrets)
    documents.write_documents(connection, context.customer_number, job.document_changes, settings, context.facts)
    if job.document_changes and not isinstance(of_customer, Delete):
        connection.execute(
            "UPDATE customers SET settings_digest = :digest, inputs = :inputs WHERE id = :customer",
            {**context.facts, **_build_settings_facts(job, settings)},
        )
    if Kind.ENROLLMENT in job.rows:
        record_limit_uses(context, Kind.ENROLLMENT, job.rows[Kind.ENROLLMENT], approved=job.approved)
    write_roster(context, job.rows)
    for kind, frame in job.rows.items():
        if kind is not Kind.ENROLLMENT:
            record_limit_uses(context, kind, frame, approved=job.approved)
    if job.document_changes or Kind.USER in job.rows or Kind.ORG in job.rows:
        save_memberships(context)
    return invitations


def _build_settings_facts(job: ApplyJob, settings: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the digests that the customer is saved with.

    While a change of a document waits, the store has neither the files' documents nor those of before: a digest that
    no documents have makes the next plan compare them."""
    waiting = any(change.held and not isinstance(change, Delete) for change in job.plan.document_changes)
    if waiting and not job.approved:
        return {"digest": f"partial:{settings['digest']}", "inputs": None}
    return {"digest": settings["digest"], "inputs": job.inputs}


def _apply_catalog(connection: Connection, store: Store, job: ApplyJob) -> ApplyResult:
    started = get_current_moment()
    staleness.refuse_stale_plan(connection, job.plan, {}, staleness.read_catalog_state(connection))
    if not job.document_changes:
        return ApplyResult(None)
    run = _generate_run_id(connection)
    settings: Mapping[str, Any] = job.plan.settings or {}
    documents.write_documents(connection, None, job.document_changes, settings, {"run": run, "now": started})
    connection.execute(
        "UPDATE store SET catalogue_digest = :digest, catalogue_run = :run",
        {"digest": settings.get("digest"), "run": run},
    )
    _record_apply(connection, store, job, run, None, started)
    return ApplyResult(run)


def _record_apply(
    connection: Connection,
    store: Store,
    job: ApplyJob,
    run: RunId,
    customer_number: CustomerNumber | None,
    started: str,
) -> None:
    plan = job.plan
    held = plan.hold is not None and not job.approved
    runs.record_run(
        connection,
        store.key,
        {
            "id": run,
            "customer_id": customer_number,
            "customer_slug": plan.id,
            "plan_id": job.plan_id,
            "started_at": started,
            "finished_at": get_current_moment(),
            "actor": job.actor,
            "outcome": "held" if held else "applied",
            "counts": dump_sorted_json(runs.count_changes(job.document_changes, job.rows)),
            "git_commit": job.git_commit,
            "approvals": dump_sorted_json([plan.hold.id] if plan.hold and job.approved else []),
            "source_sha256": plan.source.sha256 if plan.source and job.has_fresh_roster else None,
            "settings_digest": plan.settings.get("digest") if plan.settings else plan.precondition.settings,
            "undoes": job.undoes,
        },
    )
    save_run_effects(connection, run, customer_number, job.effects)


def _generate_run_id(connection: Connection) -> RunId:
    return RunId(int(connection.generate_ids("runs", 1)[0]))
