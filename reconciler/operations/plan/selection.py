"""Select the customers that a plan covers."""

from collections.abc import Mapping

from reconciler.model.diagnostic import Refusal, Span
from reconciler.model.ids import CustomerId
from reconciler.model.plan import CATALOG
from reconciler.operations.plan.renames import CustomerRenames
from reconciler.operations.plan.request import PlanRequest
from reconciler.operations.workspace import Workspace, describe_unknown_customer
from reconciler.planning.documents import order_by_freed_ids
from reconciler.store.read import CustomerRecord


def select_customers(
    workspace: Workspace,
    request: PlanRequest,
    records: Mapping[CustomerId, CustomerRecord],
    differing: frozenset[str] | None,
    renames: CustomerRenames,
) -> list[CustomerId]:
    """Return the ids to plan, sorted, except that a customer that gives up an id precedes the one that takes it.

    differing: the customers that differ from the base; None without a base. Raises Refusal for unknown ids."""
    repository = workspace.repository
    live = {slug for slug, record in records.items() if not record.tombstoned}
    known = {*repository.folders, *repository.customers, *repository.invalid, *live} - {
        CATALOG,
        *renames.list_replaced_ids(),
    }
    unknown = sorted(set(request.customers) - known)
    if unknown:
        span = Span(str(workspace.directory))
        raise Refusal([describe_unknown_customer(name, known, span) for name in unknown])
    if differing is not None:
        known &= differing
    selected = known & {*request.customers} if request.customers else known
    return order_by_freed_ids(sorted(selected), renames.renames.former)
