"""Save a plan in the store, under the id of its hold, until a person approves it."""

import io
from dataclasses import replace

from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.ids import CustomerNumber, HoldId, Moment
from reconciler.model.plan import CustomerPlan, Plan
from reconciler.operations.apply.plan_file import pack_plan, unpack_plan
from reconciler.store.open import Store
from reconciler.store.sync import load_held_plan as load_stored_plan
from reconciler.store.sync import save_held_plan


def is_hold_id(argument: str) -> bool:
    """Return True for a hold's id, as opposed to a customer's id or a plan file's name (with a slash or a dot)."""
    return ":" in argument and "/" not in argument and "." not in argument


def save_remaining_plan(store: Store, customer_number: CustomerNumber, plan: Plan, now: Moment) -> bool:
    """Save a plan of one customer of which only held changes are left. Return False if its hold no longer exists."""
    (only,) = plan.customers
    assert only.hold is not None
    packed = io.BytesIO()
    pack_plan(replace(plan, customers=(_strip_saved_snapshot(only),)), packed, store.key)
    return save_held_plan(store, customer_number, only.hold.id, plan.plan_id, packed.getvalue(), now)


def load_held_plan(store: Store, hold: HoldId) -> Plan:
    """Return the plan of a hold. Raises Refusal if none is saved, or it cannot be read."""
    with store.open_reader() as reader:
        content = load_stored_plan(reader.connection, reader.key, hold)
    if content is None:
        raise Refusal(
            [
                build_error(
                    "unknown-hold",
                    f"no plan is saved for hold {hold}: it was approved, ended or replaced",
                    hint="List the current holds: reconciler holds",
                )
            ]
        )
    return unpack_plan(io.BytesIO(content), hold, store)


def _strip_saved_snapshot(customer: CustomerPlan) -> CustomerPlan:
    """Return the plan without its snapshot, which the store has already; a doubtful one is saved only on approval."""
    return customer if customer.is_doubtful else replace(customer, snapshot={}, facts={})
