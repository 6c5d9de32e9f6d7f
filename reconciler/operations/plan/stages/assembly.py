"""Last stage of a customer's plan: assemble it from its documents and its roster."""

from __future__ import annotations

from reconciler.model.plan import CustomerPlan
from reconciler.operations.plan.base import list_weakened_documents
from reconciler.operations.plan.request import RosterChoice
from reconciler.operations.plan.stages.documents import DocumentComparison
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.operations.plan.stages.roster import RosterStage
from reconciler.planning.customer_plan import build_customer_plan, build_refused_plan


def assemble_customer_plan(
    choice: RosterChoice, files: CustomerFiles, compared: DocumentComparison, roster: RosterStage
) -> CustomerPlan:
    """choice: LAST gives a roster that is shown only, so an apply would not save it."""
    documents = compared.documents
    if roster.refusal is not None:
        return build_refused_plan(files.id, documents.name, documents.seen, roster.refusal, roster.source)
    comparison = roster.comparison
    is_saved = comparison is not None and choice is RosterChoice.FRESH
    return build_customer_plan(
        files.id,
        documents.name,
        seen=documents.seen,
        declared=compared.changes,
        unchanged_documents=documents.count_unchanged(compared.changes),
        settings=documents.build_settings(compared.changes),
        roster=comparison.decision if comparison else None,
        impact=comparison.impact if comparison else None,
        roster_applies=choice is not RosterChoice.LAST,
        source=roster.source,
        snapshot=comparison.snapshot_frames if comparison and is_saved else None,
        facts=comparison.facts if comparison and is_saved else None,
        doubted=comparison is not None and comparison.doubted,
        diagnostics=(*files.diagnostics, *compared.diagnostics, *roster.diagnostics),
        weakened=list_weakened_documents(documents, compared.base_documents or None),
    )
