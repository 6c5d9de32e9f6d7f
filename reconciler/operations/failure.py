"""Report failures of one customer that are not caused by its files; the other customers go on."""

import logging

from polars.exceptions import PanicException

from reconciler.log import FIELDS
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId
from reconciler.model.plan import CustomerPlan, Outcome

#: Caught for each customer. A panic of polars is no Exception; KeyboardInterrupt and SystemExit are not caught.
UNEXPECTED_EXCEPTIONS = (Exception, PanicException)

UNEXPECTED_CODE = "unexpected"
NOT_PLANNED_CODE = "not-planned"

_log = logging.getLogger(__name__)


def report_unexpected_error(customer: str, activity: str, problem: BaseException) -> Diagnostic:
    """Return an error without the problem's text, which may hold secrets or people; log its traceback.

    activity: the words before the customer, such as `planning`. `--debug` shows the log."""
    _log.error("unexpected-error", exc_info=problem, extra={FIELDS: {"customer": customer, "activity": activity}})
    return build_error(
        UNEXPECTED_CODE,
        f"unexpected {type(problem).__name__} while {activity} {customer}; the other customers go on",
        hint="Run again with --debug and report its output. See what was applied: reconciler history",
    )


def report_planning_failure(customer: CustomerId, refusal: Refusal) -> tuple[Diagnostic, ...]:
    """Return the errors for a store or a secret that cannot be read."""
    _log.debug("planning %s failed", customer, exc_info=refusal)
    return (build_error(NOT_PLANNED_CODE, f"{customer} could not be planned"), *refusal.diagnostics)


def is_misconfigured(plan: CustomerPlan) -> bool:
    """Return True if the plan failed only because the customer's files are invalid."""
    others = {UNEXPECTED_CODE, NOT_PLANNED_CODE}
    return plan.outcome is Outcome.FAILED and not any(each.code in others for each in plan.diagnostics)


def has_operational_failure(plan: CustomerPlan) -> bool:
    """Return True if the plan failed for a reason that is not in the customer's files."""
    return plan.outcome is Outcome.FAILED and not is_misconfigured(plan)
