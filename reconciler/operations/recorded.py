"""What the store's own record says of an apply: carried out before, or at all, where its answer was lost."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.model.diagnostic import Diagnostic, Refusal, info, warning
from reconciler.model.plan import CustomerPlan, Plan
from reconciler.store.live import Store


def recorded_run(store: Store, plan: Plan, customer: CustomerPlan, approvals: Collection[str]) -> int | None:
    """The newest run that carried out this plan for the customer, these holds released; None where there is none.

    A plan that was made after a run, and would do the same once more, is another plan. Raises StoreProblem where the
    store cannot be read.
    """
    with store.reading() as reader:
        runs = reader.runs(customer.id)
    fitting = (
        run.id
        for run in runs
        if run.plan_id == plan.plan_id and run.started_at >= plan.created_at and set(approvals) <= set(run.approvals)
    )
    return next(fitting, None)


def recorded_run_if_known(store: Store, plan: Plan, customer: CustomerPlan, approvals: Collection[str]) -> int | None:
    """None also where the store cannot be read."""
    try:
        return recorded_run(store, plan, customer, approvals)
    except Refusal:
        return None


def applied_before(customer: CustomerPlan, run: int) -> Diagnostic:
    return info(
        "already-applied",
        f"{customer.id}: this plan was applied already, by run {run}; nothing was changed now",
        hint="plan again to see what there is to do now",
    )


def answer_lost(customer: CustomerPlan, run: int) -> Diagnostic:
    return warning(
        "answer-lost",
        f"{customer.id}: the connection was lost while run {run} was being written; it is in the store, whole",
        hint="invitations of new administrators were lost with the answer: set their passwords in another way",
    )
