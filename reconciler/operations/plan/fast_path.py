"""Plan customers whose documents did not change, without reading them: most of a large repository's customers."""

from collections.abc import Collection

from reconciler.config.load import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import CustomerPlan, PlanPrecondition
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.documents import list_admin_usernames
from reconciler.operations.plan.request import RosterChoice
from reconciler.operations.plan.secrets import check_secrets
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.planning.customer_plan import build_unchanged_plan
from reconciler.store.read import CustomerRecord


def plan_if_unchanged(context: PlanContext, files: CustomerFiles) -> CustomerPlan | None:
    """Return the plan of an unchanged customer without reading its documents, or None if it needs a full comparison.

    A full comparison gives the same plan. It is needed with a base or a fresh roster, and for a customer with a last
    good roster, a new id, or documents or secrets that differ from those applied."""
    resolved, record, choice = files.resolved, files.record, context.request.effective_roster
    if resolved is None or record is None or context.comparison or choice is RosterChoice.FRESH:
        return None
    renames, store_index, outline = context.renames.renames, context.store_index, resolved.outline
    conflicts = (renames.conflicts_with_removed, renames.conflicts_with_live)
    if record.slug != files.id or any(files.id in each for each in conflicts):
        return None
    if store_index.has_roster(record.id) or not store_index.has_same_documents(record, resolved.digest, outline):
        return None
    diagnostics = _check_secrets_unchanged(context, resolved, record) if outline.secrets else ()
    if diagnostics is None:
        return None
    return build_unchanged_plan(
        files.id,
        resolved.name,
        seen=PlanPrecondition(record.version, record.settings_digest, resolved.digest),
        documents=outline.numbers,
        roster_applies=choice is not RosterChoice.LAST,
        diagnostics=(*files.diagnostics, *diagnostics),
    )


def _check_secrets_unchanged(
    context: PlanContext, resolved: ResolvedCustomer, record: CustomerRecord
) -> Collection[Diagnostic] | None:
    """Return the diagnostics of a customer's secrets, or None if a secret has another value than the store's."""
    states = check_secrets(
        resolved.id,
        resolved.outline.secrets,
        context.store_index.find_secrets(record.id),
        list_admin_usernames(record.document),
        context.workspace.secrets,
        context.workspace.store.key,
    )
    if states.changed:
        return None
    if not states.missing:
        return states.unreadable
    return states.build_warnings(resolved.id, resolved.documents[0].origins)
