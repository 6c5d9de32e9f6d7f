"""Customers whose documents the store has exactly as the files say: their plans, without looking at a document.

Of many customers most are that. What is not as simple as that is left to the plan that looks at everything; both give
the same.
"""

from __future__ import annotations

from collections.abc import Collection

from reconciler.config.resolved import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import CustomerPlan, Seen
from reconciler.operations.plan.documents import usernames
from reconciler.operations.plan.secrets import secret_states
from reconciler.operations.plan.store_index import Standing
from reconciler.operations.workspace import Workspace
from reconciler.planning.customer_plan import settled_plan
from reconciler.planning.documents.renames import Renames
from reconciler.store.read.records import CustomerRecord


def planned_at_once(
    workspace: Workspace,
    standing: Standing,
    resolved: ResolvedCustomer,
    record: CustomerRecord | None,
    renames: Renames,
    *,
    roster_applies: bool,
) -> CustomerPlan | None:
    """None where there is more to look at: no record under this id, documents that differ, a roster, another value of a
    secret, a former id. record: what the store has of the customer. roster_applies: as the plan is to say."""
    name = resolved.id
    if record is None or record.slug != name or name in renames.barred or name in renames.passed_over:
        return None
    outline = resolved.outline
    if standing.has_roster(record.id) or not standing.has_exactly(record, resolved.digest, outline):
        return None
    told = _of_secrets(workspace, standing, resolved, record) if outline.secrets else ()
    if told is None:
        return None
    return settled_plan(
        name,
        resolved.name,
        seen=Seen(record.version, record.settings_digest, resolved.digest),
        documents=outline.numbers,
        roster_applies=roster_applies,
        diagnostics=(*resolved.warnings, *told),
    )


def _of_secrets(
    workspace: Workspace, standing: Standing, resolved: ResolvedCustomer, record: CustomerRecord
) -> Collection[Diagnostic] | None:
    """What is to be told of its secrets; None where one has another value than the store was given."""
    states = secret_states(
        resolved.id,
        resolved.outline.secrets,
        standing.secrets(record.id),
        usernames(record.document),
        workspace.secrets,
        workspace.store.key,
    )
    if states.changed:
        return None
    if not states.missing:
        return states.unreadable
    return states.warnings(resolved.id, resolved.declared[0].origins)
