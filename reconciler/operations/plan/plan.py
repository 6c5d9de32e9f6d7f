"""Make a plan: read the files, the rosters and the store, and write nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import reconciler
from reconciler.clock import get_current_moment
from reconciler.gc_pause import gc_paused
from reconciler.model.ids import CustomerId
from reconciler.model.plan import CATALOG, CustomerPlan, Plan
from reconciler.operations.fetch.fresh import open_fresh_rosters
from reconciler.operations.plan.base import count_outside_base, find_differing_customers, list_weakened_settings
from reconciler.operations.plan.catalog import plan_catalog
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.documents import CATALOG_NAME
from reconciler.operations.plan.fast_path import plan_if_unchanged
from reconciler.operations.plan.fetch_ahead import fetch_ahead
from reconciler.operations.plan.isolation import plan_isolated
from reconciler.operations.plan.renames import find_likely_customer_renames, find_renamed_customers
from reconciler.operations.plan.request import PlanRequest
from reconciler.operations.plan.selection import select_customers
from reconciler.operations.plan.source_index import SourceIndex
from reconciler.operations.plan.stages.assembly import assemble_customer_plan
from reconciler.operations.plan.stages.documents import compare_customer_documents
from reconciler.operations.plan.stages.files import find_customer_files
from reconciler.operations.plan.stages.roster import compare_customer_roster
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.operations.workspace import Workspace
from reconciler.planning.customer_plan import build_failed_plan
from reconciler.planning.plan_id import compute_plan_id


def make_plan(workspace: Workspace, request: PlanRequest) -> Plan:
    """Return the plan of the requested customers and, if all are requested, of the catalog.

    Raises Refusal for an unknown id or a store that cannot be read; every other failure is the outcome of its
    customer."""
    comparison = workspace.comparison
    with gc_paused(), _open_plan_context(workspace, request) as context:
        records = context.records
        differing = find_differing_customers(comparison, records) if comparison else None
        selected = select_customers(workspace, request, records, differing, context.renames)
        plans = []
        for customer in fetch_ahead(context, selected):
            record = context.find_record(customer)
            label = record.name if record else customer
            plans += plan_isolated(customer, label, partial(_plan_customer, context, customer))
        if not request.customers and (differing is None or CATALOG in differing):
            plans += plan_isolated(CATALOG, CATALOG_NAME, partial(plan_catalog, workspace, context.reader))
        planned = selected if request.customers else [*selected, CATALOG]
        outside_base = (
            count_outside_base(comparison, records, context.reader.read_catalog(), planned, context.renames)
            if comparison
            else None
        )
    customers = tuple(plans)
    return Plan(
        plan_id=compute_plan_id(workspace.store.identity, workspace.store.key.effect_key, customers),
        created_at=get_current_moment(),
        tool_version=reconciler.__version__,
        store=replace(workspace.store.identity, is_new=not workspace.has_store),
        customers=customers,
        base=comparison.base if comparison else None,
        outside_base=outside_base,
        weakenings=list_weakened_settings(comparison) if comparison else (),
    )


def _plan_customer(context: PlanContext, customer: CustomerId) -> CustomerPlan:
    files = find_customer_files(context, customer)
    if files.errors:
        return build_failed_plan(customer, files.label, files.errors)
    unchanged = plan_if_unchanged(context, files)
    if unchanged is not None:
        return unchanged
    documents = compare_customer_documents(context, files)
    if documents.errors:
        return build_failed_plan(customer, documents.documents.name, documents.errors)
    roster = compare_customer_roster(context, files, documents)
    return assemble_customer_plan(context, files, documents, roster)


@contextmanager
def _open_plan_context(workspace: Workspace, request: PlanRequest) -> Iterator[PlanContext]:
    with (
        ThreadPoolExecutor(1) as pool,
        workspace.store.open_reader() as reader,
        open_fresh_rosters(workspace, request.fetched_at, request.progress_factory) as fresh,
    ):
        if request.bundle:
            (only,) = request.customers
            fresh.read_bundle_file(only, request.bundle, pool)
        # The configuration last applied renames and removes no customer, so the other customers are not read.
        records = reader.read_customers(request.customers if workspace.uses_applied_config else None)
        renames = find_renamed_customers(workspace.repository, records)
        likely = () if workspace.uses_applied_config else find_likely_customer_renames(workspace, records, renames)
        sources = SourceIndex(workspace.repository, reader)
        yield PlanContext(workspace, request, fresh, reader, StoreIndex(reader), records, renames, likely, sources)
