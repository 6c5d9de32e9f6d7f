"""A plan kept in the store while a person is to approve what it holds, by the id of its hold."""

from __future__ import annotations

import io
from dataclasses import replace

from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.plan import CustomerPlan, Plan
from reconciler.operations.apply.plan_file import pack_plan, unpack_plan
from reconciler.store.open import Store
from reconciler.store.sync import held_plans


def is_hold_id(argument: str) -> bool:
    """Neither a customer's id nor a plan file's name (with a slash or a dot) is taken for one."""
    return ":" in argument and "/" not in argument and "." not in argument


def save_remaining_plan(store: Store, customer_number: int, plan: Plan, now: str) -> bool:
    """Keeps a plan of one customer of which only what is held is left to do. False where its hold is gone already."""
    (only,) = plan.customers
    assert only.hold is not None
    packed = io.BytesIO()
    pack_plan(replace(plan, customers=(_strip_saved_snapshot(only),)), packed, store.key)
    return held_plans.save_held_plan(store, customer_number, only.hold.id, plan.plan_id, packed.getvalue(), now)


def load_held_plan(store: Store, hold: str) -> Plan:
    """Raises Refusal where none is kept for this hold, or it cannot be read."""
    with store.open_reader() as reader:
        content = held_plans.load_held_plan(reader.connection, reader.key, hold)
    if content is None:
        raise Refusal(
            [
                build_error(
                    "unknown-hold",
                    f"no plan is kept for {hold}",
                    hint="`reconciler holds` lists what waits: it was approved, is held no more, or another set is",
                )
            ]
        )
    return unpack_plan(io.BytesIO(content), hold, store)


def _strip_saved_snapshot(customer: CustomerPlan) -> CustomerPlan:
    """Without the roster that is to be kept, where the store has it already: a doubted one is kept only with the
    approval."""
    return customer if customer.is_doubtful else replace(customer, snapshot={}, facts={})
