"""Make a plan from the files, the rosters and the store."""

from reconciler.operations.plan.plan import make_plan as make_plan
from reconciler.operations.plan.request import PlanRequest as PlanRequest
from reconciler.operations.plan.request import RosterChoice as RosterChoice
