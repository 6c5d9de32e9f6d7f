"""Last stage of a customer's plan: assemble it from its documents and its roster."""

from reconciler.model.plan import CustomerPlan
from reconciler.operations.plan.base import list_weakened_documents
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.request import RosterChoice
from reconciler.operations.plan.stages.documents import DocumentComparison
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.operations.plan.stages.roster import RosterStage
from reconciler.planning.customer_plan import PlannedRoster, build_customer_plan, build_refused_plan


def assemble_customer_plan(
    context: PlanContext, files: CustomerFiles, compared: DocumentComparison, roster: RosterStage
) -> CustomerPlan:
    """Return the customer's plan. With the last good roster it is a preview: apply neither makes nor saves its roster
    changes."""
    choice, documents = context.request.effective_roster, compared.documents
    if roster.refusal is not None:
        return build_refused_plan(files.id, documents.name, documents.seen, roster.refusal, roster.source)
    return build_customer_plan(
        files.id,
        documents.name,
        documents.build_planned(
            compared.changes,
            list_weakened_documents(documents, compared.base_documents or None),
            compared.hold_causes,
        ),
        _build_planned_roster(choice, roster),
        hold_key=context.reader.key.hold_key,
        roster_applies=choice is not RosterChoice.LAST,
        diagnostics=(*files.diagnostics, *compared.diagnostics, *roster.diagnostics),
    )


def _build_planned_roster(choice: RosterChoice, roster: RosterStage) -> PlannedRoster | None:
    comparison = roster.comparison
    if comparison is None:
        return None
    is_saved = choice is RosterChoice.FRESH
    return PlannedRoster(
        comparison.decision,
        comparison.impact,
        roster.source,
        snapshot=comparison.snapshot_frames if is_saved else {},
        facts=comparison.facts if is_saved else {},
        is_doubtful=comparison.doubted,
    )
