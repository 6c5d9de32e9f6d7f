"""Plan the catalog: the lessons that belong to no customer."""

from reconciler.model.plan import CATALOG, CustomerPlan
from reconciler.operations.plan.affected import add_affected_people
from reconciler.operations.plan.base import read_base_documents
from reconciler.operations.plan.documents import CATALOG_NAME, read_catalog_documents
from reconciler.operations.workspace import Workspace
from reconciler.planning.attribution import add_causes
from reconciler.planning.customer_plan import build_customer_plan, build_failed_plan
from reconciler.planning.documents import compare_documents
from reconciler.store.read import Reader


def plan_catalog(workspace: Workspace, reader: Reader) -> CustomerPlan | None:
    """Return None if the catalog has nothing to change."""
    invalid = workspace.repository.invalid.get(CATALOG)
    if invalid is not None:
        # A lesson that does not validate is not among the wanted ones, and must not count as removed.
        return build_failed_plan(CATALOG, CATALOG_NAME, invalid)
    documents = read_catalog_documents(workspace.repository, reader)
    changes = add_affected_people(reader, None, documents, compare_documents(documents.wanted, documents.applied))
    if not changes:
        return None
    if workspace.comparison:
        before = read_base_documents(workspace.comparison, CATALOG)
        changes = add_causes(changes, before, {key: each.document for key, each in documents.wanted.items()})
    return build_customer_plan(
        CATALOG,
        documents.name,
        documents.build_planned(changes),
        hold_key=reader.key.hold_key,
        diagnostics=documents.diagnostics,
    )
