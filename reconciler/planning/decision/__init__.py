"""Decides everything that changes in one customer's roster, from rows read to rows held."""

from reconciler.planning.decision.desired_people import build_desired_people as build_desired_people
from reconciler.planning.decision.erased import ErasureResult as ErasureResult
from reconciler.planning.decision.erased import exclude_erased_people as exclude_erased_people
from reconciler.planning.decision.erased import list_named_people as list_named_people
from reconciler.planning.decision.erased import report_erased_people as report_erased_people
from reconciler.planning.decision.inputs import RosterInputs as RosterInputs
from reconciler.planning.decision.inputs import RosterRules as RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision as RosterDecision
from reconciler.planning.decision.roster_decision import decide_roster as decide_roster
