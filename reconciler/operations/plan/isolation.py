"""Keep the failure of one customer's plan from stopping the others, and log each outcome."""

import logging
from collections.abc import Callable

from reconciler.log import log_step
from reconciler.model.diagnostic import Refusal
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_planning_failure, report_unexpected_error
from reconciler.planning.customer_plan import build_failed_plan

_log = logging.getLogger(__name__)


def plan_isolated(customer: CustomerId, name: str, make: Callable[[], CustomerPlan | None]) -> list[CustomerPlan]:
    """Return the customer's plan, a failed one if it cannot be made, or nothing if there is nothing to plan.

    name: for people."""
    with log_step(_log, "plan", customer=customer) as facts:
        plan = _plan_or_fail(customer, name, make)
        if plan is not None:
            facts |= _describe_for_log(plan)
    return [plan] if plan is not None else []


def _plan_or_fail(customer: CustomerId, name: str, make: Callable[[], CustomerPlan | None]) -> CustomerPlan | None:
    try:
        return make()
    except Refusal as refusal:
        return build_failed_plan(customer, name, report_planning_failure(customer, refusal))
    except UNEXPECTED_EXCEPTIONS as problem:  # one customer's defect must not keep the others from being planned
        return build_failed_plan(customer, name, [report_unexpected_error(customer, "planning", problem)])


def _describe_for_log(plan: CustomerPlan) -> dict[str, object]:
    counts = plan.counts.get(Kind.USER)
    return {
        "outcome": plan.outcome,
        "people": counts.changes if counts else None,
        "quarantined": sum(each.quarantined for each in plan.counts.values()) or None,
        "hold": plan.hold.id if plan.hold else None,
        "errors": ",".join(sorted({each.code for each in plan.diagnostics if each.is_error})) or None,
    }
