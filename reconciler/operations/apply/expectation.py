"""Decide if a plan does the same as a reviewed plan or less, by the reviewed plan itself or by its id alone.

An id is a digest, so it does not tell the reviewed effects. But reviewed effects that the plan lacks were often applied
since, and each run keeps digests of its effects: added to the plan's own, they give the reviewed id or not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.config.comparison import BaseComparison
from reconciler.model.cause import ChangeCause
from reconciler.model.change import Change, get_action
from reconciler.model.ids import CustomerId, PlanId, RunId
from reconciler.model.plan import Plan
from reconciler.model.settings import DocumentsByKey
from reconciler.model.surprise import UnexplainedChange
from reconciler.operations.plan.base import index_documents, read_base_documents
from reconciler.planning.documents import diff_fields
from reconciler.planning.plan_id import NO_DIGESTS, add_digests, combine_digests, digest_effects, unpack_digests
from reconciler.planning.review import ReviewDifference, compare_with_reviewed
from reconciler.store.database import Connection
from reconciler.store.open import Store
from reconciler.store.read import list_runs_with_effects, read_run_effects

#: applies, newest first, whose effects are added to a plan's own
MAX_APPLIES = 20


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    #: the plan does the same as the reviewed plan, or less
    fits: bool
    #: None if only the reviewed plan's id is known
    difference: ReviewDifference | None = None
    #: runs that applied the missing effects, if only the id is known
    runs: tuple[RunId, ...] = ()


def compare_with_plan(plan: Plan, reviewed: Plan) -> ReviewVerdict:
    """Compare a plan with a reviewed plan of the same store."""
    difference = compare_with_reviewed(reviewed.customers, plan.customers)
    return ReviewVerdict(not difference.does_more, difference)


def compare_with_plan_id(store: Store, plan: Plan, reviewed_id: PlanId) -> ReviewVerdict:
    """Compare a plan with the id of a reviewed plan of the same store.

    Adds the effects of later runs to the plan's: those of the reviewed plan itself, else those of the last apply, the
    last two, and so on. A sum that gives the reviewed id proves that all effects of the plan were reviewed.
    """
    if plan.plan_id == reviewed_id:
        return ReviewVerdict(True)
    planned = {customer.id: digest_effects(customer, store.key.effect_key) for customer in plan.customers}
    with store.open_reader() as reader:
        runs = list_runs_with_effects(reader.connection)
        own = runs.filter(pl.col("plan_id") == reviewed_id)
        if combine_digests(store.identity, _add_run_effects(reader.connection, planned, own)) == reviewed_id:
            return _build_fitting_verdict(own)
        applies = runs.with_columns(pl.col("plan_id").rle_id().alias("apply"))
        together = planned
        for number in range(min(MAX_APPLIES, applies["apply"].n_unique())):
            together = _add_run_effects(reader.connection, together, applies.filter(pl.col("apply") == number))
            if combine_digests(store.identity, together) == reviewed_id:
                return _build_fitting_verdict(applies.filter(pl.col("apply") <= number))
    return ReviewVerdict(False)


def _add_run_effects(
    connection: Connection, digests: Mapping[CustomerId, pl.Series], runs: pl.DataFrame
) -> dict[CustomerId, pl.Series]:
    added = dict(digests)
    for run, customer in runs.select("run", "customer").iter_rows():
        mine = added.get(customer, NO_DIGESTS)
        added[customer] = add_digests(mine, unpack_digests(read_run_effects(connection, run)))
    return added


def _build_fitting_verdict(runs: pl.DataFrame) -> ReviewVerdict:
    return ReviewVerdict(True, runs=tuple(runs["run"].sort()))


def find_unexplained_changes(plan: Plan, comparison: BaseComparison) -> Iterator[UnexplainedChange]:
    """Yield the document changes that the diff to the base does not explain, in the plan's order.

    An apply with a base never includes roster changes."""
    for customer in plan.customers:
        before = read_base_documents(comparison, customer.id)
        now = index_documents(comparison.current_repository, customer.id)
        for change in customer.document_changes:
            yield from _compare_change_with_base(customer.id, change, before, now)


def _compare_change_with_base(
    customer: CustomerId, change: Change, before: DocumentsByKey, now: DocumentsByKey
) -> Iterator[UnexplainedChange]:
    key = (change.kind, change.key)
    action = get_action(change)
    if not change.fields:
        if change.cause is not ChangeCause.PR:
            yield UnexplainedChange(customer, change.kind, change.key, action, change.cause)
        return
    base = {field.path: field.before for field in diff_fields(before.get(key, {}), now.get(key, {}))}
    for field in change.fields:
        known = base.get(field.path, field.before)
        if field.cause is not ChangeCause.PR or known != field.before:
            yield UnexplainedChange(
                customer,
                change.kind,
                change.key,
                action,
                field.cause,
                field.path,
                known if field.cause is ChangeCause.PR else field.after,
                field.before,
                field.after,
                field.personal,
            )
