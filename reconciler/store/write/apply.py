"""Carrying out one customer's plan: under the customer's lock, in one transaction, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import polars as pl
from pydantic import SecretStr

from reconciler.clock import now
from reconciler.model.change import Change, Delete, action_of
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import customer_lock
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.write import documents
from reconciler.store.write.administrators import Invitation, keep_administrators
from reconciler.store.write.journal import record_document
from reconciler.store.write.limit_uses import record_uses
from reconciler.store.write.memberships import keep_memberships
from reconciler.store.write.renames import former_id, refuse_taken, rename_customer
from reconciler.store.write.roster import write_roster
from reconciler.store.write.rows import TABLES, Writing, refresh
from reconciler.store.write.runs import (
    HoldScope,
    counts_of,
    forget_holds,
    held_since,
    hold_scope,
    keep_hold,
    record_run,
)
from reconciler.store.write.secrets import keep_secrets
from reconciler.store.write.snapshots import keep_snapshot, overtake_snapshot
from reconciler.store.write.staleness import (
    Current,
    current_catalogue,
    current_customer,
    refuse_erased,
    refuse_later_hold,
    refuse_stale,
)

NO_SECRETS: Mapping[str, SecretStr] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Applied:
    """run: the new run's id, None where there was nothing to write. invitations: (username, path of the page where
    a password is chosen), to be shown once."""

    run: int | None
    invitations: tuple[Invitation, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be carried out of a plan, and on whose word. declared, rows: nothing held is in them. undoes: the run
    that it takes back. inputs: of the files that its configuration was read from."""

    plan: CustomerPlan
    plan_id: str
    actor: str
    approved: bool
    git_commit: str | None
    secrets: Mapping[str, SecretStr] = field(repr=False)
    declared: tuple[Change, ...]
    rows: Mapping[Kind, pl.DataFrame]
    undoes: int | None = None
    inputs: str | None = None

    @property
    def writes(self) -> bool:
        return bool(self.declared or self.rows)

    @property
    def former(self) -> str | None:
        """The id that the customer has until now, where it is renamed."""
        return former_id(self.declared)

    @property
    def compared(self) -> bool:
        """A fresh roster was compared, so that what it holds is all that is held."""
        return self.plan.source is not None and self.plan.roster_applies

    @property
    def settles_roster(self) -> bool:
        """Nothing of a roster waits any more but what this plan itself holds."""
        removed = any(isinstance(change, Delete) and change.kind is Kind.CUSTOMER for change in self.declared)
        return self.compared or removed


def apply_customer(
    store: Store,
    plan: CustomerPlan,
    *,
    plan_id: str,
    actor: str,
    approved: bool,
    git_commit: str | None = None,
    secrets: Mapping[str, SecretStr] = NO_SECRETS,
    lock_timeout: float = 0.0,
    undoes: int | None = None,
    inputs: str | None = None,
) -> Applied:
    """Writes what is not held, or everything where the hold was approved. secrets: values by dotted path in the
    customer's document. inputs: of the files that its configuration was read from. lock_timeout: seconds to wait for
    another apply of the same customer. undoes: the run that the plan takes back.

    Raises StalePlan where the store is not what the plan saw, StoreProblem where the customer is locked or the
    database refuses; nothing is written then.
    """
    order = Order(
        plan,
        plan_id,
        actor,
        approved,
        git_commit,
        secrets,
        tuple(change for change in plan.declared if approved or not change.held),
        _unheld(plan, approved),
        undoes,
        inputs,
    )
    with (
        customer_lock(store, plan.id, lock_timeout, former=order.former) as connection,
        connection.writing(),
    ):
        if plan.id == CATALOGUE:
            return _apply_catalogue(connection, store, order)
        return _apply(connection, store, order)


def _unheld(plan: CustomerPlan, approved: bool) -> dict[Kind, pl.DataFrame]:
    if not plan.roster_applies:
        return {}
    frames = {kind: frame if approved else frame.filter(~pl.col("held")) for kind, frame in plan.roster.items()}
    return {kind: frame for kind, frame in frames.items() if frame.height}


def _apply(connection: Connection, store: Store, order: Order) -> Applied:
    started = now()
    plan = order.plan
    current = current_customer(connection, order.former or plan.id)
    if order.former is not None:
        refuse_taken(connection, plan.id)
    unchanged = refuse_stale(connection, plan, order.rows, current)
    if current is not None:
        if order.compared:
            refuse_later_hold(connection, plan, current, started)
        refuse_erased(connection, store.key, current.id, plan, order.rows)
    run = _new_run(connection) if order.writes else None
    invitations: tuple[Invitation, ...] = ()
    customer = current.id if current else None
    if run is not None:
        if customer is None:
            customer = _create_customer(connection, order, run)
        writing = Writing(connection, store.key, run, customer, plan.id, started, order.undoes)
        invitations = _carry_out(writing, order, current)
    if customer is None:
        return Applied(None)
    if unchanged:
        # Where another hand wrote meanwhile, a fingerprint from the plan might hide it.
        for kind, frame in plan.refresh.items():
            refresh(connection, TABLES[kind], frame)
    if order.compared and plan.source is not None and plan.doubted and not order.approved:
        overtake_snapshot(connection, customer, plan.source.fetched_at)
    elif order.compared and plan.source is not None and plan.snapshot:
        last_run = run or (current.version[0] if current else 0)
        keep_snapshot(connection, customer, last_run, plan.source, plan.snapshot, plan.facts)
    if order.undoes is None:
        _keep_holds(connection, customer, order, started)
    if run is not None:
        connection.execute(
            "UPDATE customers SET last_run = :run WHERE id = :customer", {"run": run, "customer": customer}
        )
        _record(connection, store, order, run, customer, started)
    return Applied(run, invitations)


def _keep_holds(connection: Connection, customer: int, order: Order, now: str) -> None:
    """What takes a run back neither knows nor changes what a roster or the files would have held."""
    plan = order.plan
    hold = None if order.approved else plan.hold
    since = held_since(connection, customer, hold.id) if hold else None
    scopes = HoldScope if order.settles_roster else [HoldScope.DECLARED]
    forget_holds(connection, customer, scopes, still=hold.id if hold else None)
    if hold is not None:
        keep_hold(connection, customer, hold_scope(plan), hold, order.plan_id, since or now)


def _create_customer(connection: Connection, order: Order, run: int) -> int:
    settings = order.plan.settings
    if settings is None or "customer" not in settings:
        raise StoreProblem(
            "unknown-customer", f"{order.plan.id} is not in the store, and the plan does not make it", "Plan again."
        )
    return documents.create_customer(connection, order.plan.id, run, settings)


def _carry_out(writing: Writing, order: Order, current: Current | None) -> tuple[Invitation, ...]:
    connection, plan = writing.connection, order.plan
    settings: Mapping[str, Any] = plan.settings or {}
    invitations: tuple[Invitation, ...] = ()
    of_customer = next((change for change in order.declared if change.kind is Kind.CUSTOMER), None)
    if of_customer is not None and current is not None:
        facts = {**writing.facts, "action": action_of(of_customer).value}
        record_document(connection, Kind.CUSTOMER, "customers", "t.id = :customer", facts)
    if isinstance(of_customer, Delete):
        documents.entomb_customer(connection, writing.customer, writing.now)
    elif of_customer is not None:
        if current is not None:
            documents.write_customer(connection, plan.id, writing.customer, settings)
        if order.former is not None:
            rename_customer(writing, order.former)
        keep_secrets(writing, settings["customer"], order.secrets)
        invitations = keep_administrators(writing, settings["customer"], order.secrets)
    documents.write_documents(connection, writing.customer, order.declared, settings, writing.facts)
    if order.declared and not isinstance(of_customer, Delete):
        connection.execute(
            "UPDATE customers SET settings_digest = :digest, inputs = :inputs WHERE id = :customer",
            {**writing.facts, "digest": settings["digest"], "inputs": order.inputs},
        )
    write_roster(writing, order.rows)
    for kind, frame in order.rows.items():
        record_uses(writing, kind, frame, approved=order.approved)
    if order.declared or Kind.USER in order.rows or Kind.ORG in order.rows:
        keep_memberships(writing)
    return invitations


def _apply_catalogue(connection: Connection, store: Store, order: Order) -> Applied:
    started = now()
    refuse_stale(connection, order.plan, {}, current_catalogue(connection))
    if not order.declared:
        return Applied(None)
    run = _new_run(connection)
    settings: Mapping[str, Any] = order.plan.settings or {}
    documents.write_documents(connection, None, order.declared, settings, {"run": run, "now": started})
    connection.execute(
        "UPDATE store SET catalogue_digest = :digest, catalogue_run = :run",
        {"digest": settings.get("digest"), "run": run},
    )
    _record(connection, store, order, run, None, started)
    return Applied(run)


def _record(connection: Connection, store: Store, order: Order, run: int, customer: int | None, started: str) -> None:
    plan = order.plan
    held = plan.hold is not None and not order.approved
    record_run(
        connection,
        store.key,
        {
            "id": run,
            "customer_id": customer,
            "customer_slug": plan.id,
            "plan_id": order.plan_id,
            "started_at": started,
            "finished_at": now(),
            "actor": order.actor,
            "outcome": "held" if held else "applied",
            "counts": documents.text_of(counts_of(order.declared, order.rows)),
            "git_commit": order.git_commit,
            "approvals": documents.text_of([plan.hold.id] if plan.hold and order.approved else []),
            "source_sha256": plan.source.sha256 if plan.source and order.compared else None,
            "settings_digest": plan.settings.get("digest") if plan.settings else plan.seen.settings,
            "undoes": order.undoes,
        },
    )


def _new_run(connection: Connection) -> int:
    return int(connection.dialect.allocate(connection, "runs", 1)[0])
