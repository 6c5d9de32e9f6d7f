"""Gates, limits and other rules that keep changes back until a person approves them."""

from reconciler.planning.holds.approvals import PreApproval as PreApproval
from reconciler.planning.holds.gates import ExceptionToGate as ExceptionToGate
from reconciler.planning.holds.gates import GateInput as GateInput
from reconciler.planning.holds.gates import GateResult as GateResult
from reconciler.planning.holds.gates import LastRoster as LastRoster
from reconciler.planning.holds.gates import check_gates as check_gates
from reconciler.planning.holds.gates import describe_quarantined_rows as describe_quarantined_rows
from reconciler.planning.holds.gates import list_root_orgs as list_root_orgs
from reconciler.planning.holds.limits import CLASSES as CLASSES
from reconciler.planning.holds.limits import ENROLLMENTS as ENROLLMENTS
from reconciler.planning.holds.limits import SCOPE_NARROWED as SCOPE_NARROWED
from reconciler.planning.holds.limits import USERS as USERS
from reconciler.planning.holds.limits import Threshold as Threshold
from reconciler.planning.holds.limits import Thresholds as Thresholds
from reconciler.planning.holds.limits import make_empty_earlier_uses as make_empty_earlier_uses
from reconciler.planning.holds.order import hold_changes as hold_changes
from reconciler.planning.holds.order import settle_changes as settle_changes
from reconciler.planning.holds.page import render_holds_page as render_holds_page
from reconciler.planning.holds.rules import ActiveSeason as ActiveSeason
from reconciler.planning.holds.rules import LimitRules as LimitRules
from reconciler.planning.holds.rules import SeasonMode as SeasonMode
from reconciler.planning.holds.shared_people import OtherCustomer as OtherCustomer
from reconciler.planning.holds.shared_people import PeopleAcrossCustomers as PeopleAcrossCustomers
from reconciler.planning.holds.shared_people import find_new_people as find_new_people
from reconciler.planning.holds.state import HoldInputs as HoldInputs
from reconciler.planning.holds.state import HoldState as HoldState
