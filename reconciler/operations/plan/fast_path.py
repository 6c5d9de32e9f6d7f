"""Customers whose documents the store has exactly as the files say: their plans, without looking at a document.

Of many customers most are that. What is not as simple as that is left to the plan that looks at everything; both give
the same.
"""

from __future__ import annotations

from collections.abc import Collection

from reconciler.config.load.resolved import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import CustomerPlan, PlanPrecondition
from reconciler.operations.plan.documents import list_admin_usernames
from reconciler.operations.plan.secrets import check_secrets
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.operations.workspace import Workspace
from reconciler.planning.customer_plan import build_unchanged_plan
from reconciler.planning.documents.renames import DocumentRenames
from reconciler.store.read.records import CustomerRecord


def plan_if_unchanged(
    workspace: Workspace,
    store_index: StoreIndex,
    resolved: ResolvedCustomer,
    record: CustomerRecord | None,
    renames: DocumentRenames,
    *,
    roster_applies: bool,
) -> CustomerPlan | None:
    """None where there is more to look at: no record under this id, documents that differ, a roster, another value of a
    secret, a former id. record: what the store has of the customer. roster_applies: as the plan is to say."""
    name = resolved.id
    if (
        record is None
        or record.slug != name
        or name in renames.conflicts_with_removed
        or name in renames.conflicts_with_live
    ):
        return None
    outline = resolved.outline
    if store_index.has_roster(record.id) or not store_index.has_same_documents(record, resolved.digest, outline):
        return None
    told = _check_secrets_unchanged(workspace, store_index, resolved, record) if outline.secrets else ()
    if told is None:
        return None
    return build_unchanged_plan(
        name,
        resolved.name,
        seen=PlanPrecondition(record.version, record.settings_digest, resolved.digest),
        documents=outline.numbers,
        roster_applies=roster_applies,
        diagnostics=(*resolved.warnings, *told),
    )


def _check_secrets_unchanged(
    workspace: Workspace, store_index: StoreIndex, resolved: ResolvedCustomer, record: CustomerRecord
) -> Collection[Diagnostic] | None:
    """What is to be told of its secrets; None where one has another value than the store was given."""
    states = check_secrets(
        resolved.id,
        resolved.outline.secrets,
        store_index.find_secrets(record.id),
        list_admin_usernames(record.document),
        workspace.secrets,
        workspace.store.key,
    )
    if states.changed:
        return None
    if not states.missing:
        return states.unreadable
    return states.build_warnings(resolved.id, resolved.documents[0].origins)
