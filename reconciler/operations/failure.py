"""Why a customer could not be planned or applied for a reason that is not in its files; the others go on."""

from __future__ import annotations

import logging

from polars.exceptions import PanicException

from reconciler.log import FIELDS
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.plan import CustomerPlan, Outcome

#: Whatever a customer's own door catches. A panic of polars is no Exception; what ends the program is not caught.
UNEXPECTED_EXCEPTIONS = (Exception, PanicException)

UNEXPECTED_CODE = "unexpected"
NOT_PLANNED_CODE = "not-planned"

_log = logging.getLogger(__name__)


def report_unexpected_error(customer: str, activity: str, problem: BaseException) -> Diagnostic:
    """doing: `planning`, `applying`. The problem's text is not shown, since it may hold what must not be seen;
    its traceback goes to the log, which `--debug` shows."""
    _log.error("unexpected-error", exc_info=problem, extra={FIELDS: {"customer": customer, "activity": activity}})
    return build_error(
        UNEXPECTED_CODE,
        f"unexpected {type(problem).__name__} while {activity} {customer}; the others go on",
        hint="run again with --debug and report what it prints; `reconciler history` says what was applied",
    )


def report_planning_failure(customer: str, refusal: Refusal) -> tuple[Diagnostic, ...]:
    """The store or a secret could not be read."""
    _log.debug("planning %s failed", customer, exc_info=refusal)
    return (build_error(NOT_PLANNED_CODE, f"{customer} could not be planned"), *refusal.diagnostics)


def is_misconfigured(plan: CustomerPlan) -> bool:
    """The plan failed because the customer's files do not validate, and for no other reason."""
    others = {UNEXPECTED_CODE, NOT_PLANNED_CODE}
    return plan.outcome is Outcome.FAILED and not any(each.code in others for each in plan.diagnostics)


def has_operational_failure(plan: CustomerPlan) -> bool:
    """The plan failed, and not by what people wrote."""
    return plan.outcome is Outcome.FAILED and not is_misconfigured(plan)
