"""Where the store is not as a base in git says: what makes a plan beside it another one than was reviewed.

Who reviewed a pull request saw what it does to a store that is as the base has it. So what it would do beyond that, or
to other values, is what has changed since, whatever is left of the plan that was reviewed.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.config.comparison import Comparison
from reconciler.model.cause import Cause
from reconciler.model.change import Change, action_of
from reconciler.model.plan import Plan
from reconciler.model.surprise import Surprise
from reconciler.operations.beside_base import documents_before, documents_now
from reconciler.planning.causes import Documents
from reconciler.planning.declared import field_changes


def surprises(plan: Plan, comparison: Comparison) -> Iterator[Surprise]:
    """In the plan's order, of documents; what a roster would do is never part of such an apply."""
    for customer in plan.customers:
        before, now = documents_before(comparison, customer.id), documents_now(comparison, customer.id)
        for change in customer.declared:
            yield from _of_change(customer.id, change, before, now)


def _of_change(customer: str, change: Change, before: Documents, now: Documents) -> Iterator[Surprise]:
    key = (change.kind, change.key)
    action = action_of(change)
    if not change.fields:
        if change.cause is not Cause.PR:
            yield Surprise(customer, change.kind, change.key, action, change.cause)
        return
    base = {field.path: field.before for field in field_changes(before.get(key, {}), now.get(key, {}))}
    for field in change.fields:
        known = base.get(field.path, field.before)
        if field.cause is not Cause.PR or known != field.before:
            yield Surprise(
                customer,
                change.kind,
                change.key,
                action,
                field.cause,
                field.path,
                known if field.cause is Cause.PR else field.after,
                field.before,
                field.after,
                field.personal,
            )
