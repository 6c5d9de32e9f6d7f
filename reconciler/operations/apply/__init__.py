"""Apply a plan, saved or just made, after comparing it with the reviewed one."""

from reconciler.operations.apply.apply import ApplyOutcome as ApplyOutcome
from reconciler.operations.apply.apply import CustomerApplyResult as CustomerApplyResult
from reconciler.operations.apply.apply import Invitation as Invitation
from reconciler.operations.apply.apply import apply_plan as apply_plan
from reconciler.operations.apply.apply import build_invitation as build_invitation
from reconciler.operations.apply.apply import refuse_unwritable_invitations as refuse_unwritable_invitations
from reconciler.operations.apply.expectation import ReviewVerdict as ReviewVerdict
from reconciler.operations.apply.expectation import compare_with_plan as compare_with_plan
from reconciler.operations.apply.expectation import compare_with_plan_id as compare_with_plan_id
from reconciler.operations.apply.expectation import find_unexplained_changes as find_unexplained_changes
from reconciler.operations.apply.held_plan import is_hold_id as is_hold_id
from reconciler.operations.apply.held_plan import load_held_plan as load_held_plan
from reconciler.operations.apply.plan_file import read_plan as read_plan
from reconciler.operations.apply.plan_file import write_plan as write_plan
