"""Making a plan: reads the files, the sources and the store, and writes nothing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import polars as pl

import reconciler
from reconciler.clock import get_current_moment
from reconciler.config.load.resolved import ResolvedCustomer
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.gc_pause import gc_paused
from reconciler.log import log_step
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Freshness, Plan, SourceSummary
from reconciler.oneroster.snapshot import Snapshot, build_quarantine_diagnostics
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_planning_failure, report_unexpected_error
from reconciler.operations.fetch.fetching import WINDOW, ProgressFactory, make_silent_progress
from reconciler.operations.fetch.fresh import (
    FreshRosters,
    PrefetchedRosters,
    describe_missing_rostering,
    describe_unfetched_roster,
    is_fetched_automatically,
    open_fresh_rosters,
)
from reconciler.operations.fetch.snapshots import find_newest_roster_time, read_earlier_roster, read_last_snapshot
from reconciler.operations.plan.base import (
    build_base_roster_settings,
    count_outside_base,
    find_differing_customers,
    find_taken_consumer_keys,
    list_weakened_documents,
    list_weakened_settings,
    read_base_documents,
)
from reconciler.operations.plan.documents import (
    CATALOG_NAME,
    CustomerDocuments,
    find_taken_usernames,
    list_admin_usernames,
    read_catalog_documents,
    read_customer_documents,
)
from reconciler.operations.plan.fast_path import plan_if_unchanged
from reconciler.operations.plan.renames import CustomerRenames, describe_renamed_secrets, find_renamed_customers
from reconciler.operations.plan.roster import (
    RosterComparison,
    RosterSettings,
    StoredRoster,
    compare_roster,
    read_stored_roster,
    summarize_source,
)
from reconciler.operations.plan.secrets import check_secrets
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.operations.workspace import Workspace
from reconciler.planning.attribution import add_causes, add_roster_causes
from reconciler.planning.customer_plan import build_customer_plan, build_failed_plan, build_refused_plan
from reconciler.planning.documents.document_diff import compare_documents
from reconciler.planning.documents.renames import order_by_freed_ids
from reconciler.planning.plan_id import compute_plan_id
from reconciler.planning.roster.seats import SeatLicense, warn_exceeded_seats
from reconciler.store.errors import StoreProblem
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord

_log = logging.getLogger(__name__)

#: rows set aside that become diagnostics of their own, for each rule; the rest is counted
SHOWN_PER_RULE = 1000


class RosterChoice(StrEnum):
    FRESH = "fresh"
    LAST = "last"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """customers: ids; empty for all, and the catalogue; beside a base, for all that differ. bundle: the zip of the one
    customer named. given: by customer, what came of fetches that were made already. heard: gives the progress of each
    fetch."""

    customers: tuple[str, ...] = ()
    bundle: Path | None = None
    roster: RosterChoice = RosterChoice.LAST
    fetched_at: str = field(default_factory=get_current_moment)
    prefetched: PrefetchedRosters = field(default_factory=dict)
    progress_factory: ProgressFactory = make_silent_progress


def make_plan(workspace: Workspace, request: PlanRequest) -> Plan:
    """Raises Refusal for what concerns no single customer (an unknown name, the store); everything else is an
    outcome of its customer."""
    with (
        gc_paused(),
        ThreadPoolExecutor(1) as pool,
        workspace.store.open_reader() as reader,
        open_fresh_rosters(workspace, request.fetched_at, request.progress_factory) as fresh,
    ):
        if request.bundle:
            (only,) = request.customers
            fresh.read_bundle_file(only, request.bundle, pool)
        # Of the configuration last applied nobody is renamed or removed: the others are not asked for.
        records = reader.read_customers(request.customers if workspace.uses_applied_config else None)
        comparison = workspace.comparison
        differing = find_differing_customers(comparison, records) if comparison else None
        renamed = find_renamed_customers(workspace.repository, records)
        names = order_by_freed_ids(
            _select_customers(workspace, request, records, differing, renamed), renamed.renames.former
        )
        standing = StoreIndex(reader, records)
        plans = []
        for name in _fetch_ahead(workspace, request, fresh, reader, names, records, renamed):
            one = partial(_plan_customer, workspace, request, fresh, reader, standing, name, records, renamed)
            record = renamed.find_record(name, records)
            plans += _plan_isolated(name, record.name if record else name, one)
        if not request.customers and (differing is None or CATALOG in differing):
            plans += _plan_isolated(CATALOG, CATALOG_NAME, partial(_plan_catalog, workspace, reader))
        planned = [*names, *([CATALOG] if not request.customers else [])]
        rest = count_outside_base(comparison, records, reader.read_catalog(), planned, renamed) if comparison else None
    customers = tuple(plans)
    return Plan(
        plan_id=compute_plan_id(workspace.store.identity, customers),
        created_at=get_current_moment(),
        tool_version=reconciler.__version__,
        store=workspace.store.identity,
        customers=customers,
        base=comparison.base if comparison else None,
        outside_base=rest,
        weakenings=list_weakened_settings(comparison) if comparison else (),
    )


def _plan_isolated(customer: str, name: str, work: Callable[[], CustomerPlan | None]) -> list[CustomerPlan]:
    with log_step(_log, "plan", customer=customer) as facts:
        plans = _plan_or_fail(customer, name, work)
        for plan in plans:
            facts |= _describe_for_log(plan)
    return plans


def _describe_for_log(plan: CustomerPlan) -> dict[str, object]:
    counts = plan.counts.get(Kind.USER)
    return {
        "outcome": plan.outcome,
        "people": counts.changes if counts else None,
        "quarantined": sum(each.quarantined for each in plan.counts.values()) or None,
        "hold": plan.hold.id if plan.hold else None,
        "errors": ",".join(sorted({each.code for each in plan.diagnostics if each.is_error})) or None,
    }


def _plan_or_fail(customer: str, name: str, work: Callable[[], CustomerPlan | None]) -> list[CustomerPlan]:
    """What goes wrong with one customer is an outcome of that customer and of no other."""
    try:
        made = work()
    except Refusal as refusal:
        return [build_failed_plan(customer, name, report_planning_failure(customer, refusal))]
    except (
        UNEXPECTED_EXCEPTIONS
    ) as problem:  # a door: one customer's defect must not keep the others from being planned
        return [build_failed_plan(customer, name, [report_unexpected_error(customer, "planning", problem)])]
    return [made] if made else []


def _fetch_ahead(
    workspace: Workspace,
    request: PlanRequest,
    fresh: FreshRosters,
    reader: Reader,
    names: Sequence[str],
    records: Mapping[str, CustomerRecord],
    renamed: CustomerRenames,
) -> Iterator[str]:
    """The names in their order, each when its fetch has begun. While one is planned, the next ones are fetched, as many
    as a run may have open; with each that was planned one more begins."""
    waiting = deque(names if request.roster is RosterChoice.FRESH else ())
    open_: set[str] = set()
    for name in names:
        while waiting and len(open_) < WINDOW:
            following = waiting.popleft()
            _begin_fetch(workspace, request, fresh, reader, following, renamed.find_record(following, records))
            if following in fresh:
                open_.add(following)
        yield name
        fresh.discard_fetch(name)
        open_.discard(name)


def _begin_fetch(
    workspace: Workspace,
    request: PlanRequest,
    fresh: FreshRosters,
    reader: Reader,
    name: str,
    record: CustomerRecord | None,
) -> None:
    """Nothing where somebody gave it."""
    resolved = workspace.repository.customers.get(name)
    if name in request.prefetched:
        fresh.add_fetched(name, request.prefetched[name])
    elif resolved is not None and name not in fresh and is_fetched_automatically(resolved.customer):
        fresh.start_fetch(resolved.customer, read_earlier_roster(reader, record.id if record else None))


def _select_customers(
    workspace: Workspace,
    request: PlanRequest,
    records: dict[str, CustomerRecord],
    differing: frozenset[str] | None,
    renamed: CustomerRenames,
) -> list[str]:
    repository = workspace.repository
    live = {slug for slug, record in records.items() if not record.tombstoned}
    known = {*repository.folders, *repository.customers, *repository.invalid, *live} - {
        CATALOG,
        *renamed.list_replaced_ids(),
    }
    unknown = sorted(set(request.customers) - known)
    if unknown:
        raise Refusal(
            [
                build_error(
                    "unknown-customer",
                    f"no customer is called {name}",
                    Span(str(workspace.directory)),
                    f"customers here: {', '.join(sorted(known)) or 'none'}",
                )
                for name in unknown
            ]
        )
    if differing is not None:
        known &= differing
    return sorted(known & {*request.customers} if request.customers else known)


def _plan_customer(
    workspace: Workspace,
    request: PlanRequest,
    fresh: FreshRosters,
    reader: Reader,
    store_index: StoreIndex,
    name: str,
    records: Mapping[str, CustomerRecord],
    renamed: CustomerRenames,
) -> CustomerPlan:
    comparison = workspace.comparison
    record = renamed.find_record(name, records)
    former = renamed.renames.former.get(name)
    invalid = workspace.repository.invalid.get(name)
    if invalid is not None:
        return build_failed_plan(name, record.name if record else name, invalid)
    resolved = workspace.repository.customers.get(name)
    people = _count_people(reader, record) if record and resolved is None else 0
    choice = RosterChoice.FRESH if request.bundle else request.roster
    if resolved and comparison is None and choice is not RosterChoice.FRESH:
        applies = choice is not RosterChoice.LAST
        at_once = plan_if_unchanged(workspace, store_index, resolved, record, renamed.renames, roster_applies=applies)
        if at_once is not None:
            return at_once
    told = renamed.list_diagnostics(name, resolved.span) if resolved else ()
    if any(each.is_error for each in told):
        return build_failed_plan(name, record.name if record else name, told)
    documents = read_customer_documents(workspace.repository, reader, store_index, name, record, people)
    diagnostics: list[Diagnostic] = [*resolved.warnings, *told] if resolved else []
    diagnostics += documents.diagnostics
    missing: Collection[str] | None = None
    changed_secrets: dict[str, str] = {}
    # Beside a base, secrets are compared by reference alone.
    if resolved and comparison is None and not workspace.uses_applied_config:
        states = check_secrets(
            name,
            resolved.outline.secrets,
            store_index.find_secrets(record.id) if record else {},
            _list_administrators(record),
            workspace.secrets,
            workspace.store.key,
            former_id=former,
        )
        missing = states.missing.keys()
        changed_secrets = dict(states.changed)
        diagnostics += states.build_warnings(name, documents.wanted[Kind.CUSTOMER, name].origins)
    if resolved and former:
        wanted = documents.wanted[Kind.CUSTOMER, name]
        diagnostics += describe_renamed_secrets(name, former, wanted.document, missing, resolved.span)
    clashes = find_taken_usernames(documents.wanted[Kind.CUSTOMER, name], record, reader) if resolved else ()
    if clashes:
        return build_failed_plan(name, documents.name, clashes)
    if resolved and comparison:
        read = {*comparison.current_repository.customers, *comparison.differing_ids, former or name}
        taken_keys = find_taken_consumer_keys(resolved, record, store_index, read)
        if taken_keys:
            return build_failed_plan(name, documents.name, taken_keys)
    declared = compare_documents(documents.wanted, documents.applied, changed_secrets)
    before = read_base_documents(comparison, name) if comparison else None
    if before is not None:
        declared = add_causes(declared, before, {key: each.document for key, each in documents.wanted.items()})
    compared: RosterComparison | None = None
    source: SourceSummary | None = None
    try:
        taken = _read_roster_inputs(reader, store_index, resolved, fresh, name, choice, record)
        if taken is not None:
            snapshot, known, customer, rostering = taken
            source = summarize_source(snapshot, Freshness.LAST if choice is RosterChoice.LAST else Freshness.FRESH)
            diagnostics += snapshot.diagnostics
            wanted = documents.wanted[Kind.CUSTOMER, name]
            terms = RosterSettings(
                customer,
                rostering,
                tuple(sorted(list_admin_usernames(wanted.document))),
                workspace.repository.settings.policy.limits,
                wanted.origins,
            )
            compared = compare_roster(snapshot, terms, reader, known)
            if comparison:
                compared = _add_roster_causes(
                    compared, snapshot, build_base_roster_settings(comparison, customer, terms), reader, known
                )
            diagnostics += compared.diagnostics
            diagnostics += build_quarantine_diagnostics(compared.decision.quarantine, SHOWN_PER_RULE)
            diagnostics += warn_exceeded_seats(compared.desired, _list_site_licenses(resolved)) if resolved else ()
        elif resolved is not None and choice is RosterChoice.FRESH:
            diagnostics += describe_unfetched_roster(resolved.customer, resolved.span)
    except StoreProblem:
        # the store's own trouble is not the source's
        raise
    except Refusal as refusal:
        return build_refused_plan(name, documents.name, documents.seen, refusal.diagnostics, source)
    return build_customer_plan(
        name,
        documents.name,
        seen=documents.seen,
        declared=declared,
        unchanged_documents=documents.count_unchanged(declared),
        settings=documents.build_settings(declared),
        roster=compared.decision if compared else None,
        impact=compared.impact if compared else None,
        roster_applies=choice is not RosterChoice.LAST,
        source=source,
        snapshot=compared.snapshot_frames if compared and choice is RosterChoice.FRESH else None,
        facts=compared.facts if compared and choice is RosterChoice.FRESH else None,
        doubted=compared is not None and compared.doubted,
        diagnostics=diagnostics,
        weakened=list_weakened_documents(documents, before or None),
    )


def _add_roster_causes(
    comparison: RosterComparison, snapshot: Snapshot, terms: RosterSettings | None, reader: Reader, known: StoredRoster
) -> RosterComparison:
    """terms: the base's; None where they are the same. What the base's gates refuse it would not change."""
    by_base: Mapping[Kind, pl.DataFrame] | None = None
    if terms is not None:
        try:
            by_base = compare_roster(snapshot, terms, reader, known).decision.changes
        except Refusal:
            by_base = {}
    changes = add_roster_causes(comparison.decision.changes, by_base)
    return replace(comparison, decision=replace(comparison.decision, changes=changes))


def _list_administrators(record: CustomerRecord | None) -> Collection[str]:
    return list_admin_usernames(record.document) if record and not record.tombstoned else frozenset()


def _count_people(reader: Reader, record: CustomerRecord) -> int:
    """Live accounts of a customer that is to go."""
    return int((~reader.read_users(record.id)["tombstoned"]).sum())


def _list_site_licenses(resolved: ResolvedCustomer) -> Iterator[SeatLicense]:
    origins = {each.id: each.origins for each in resolved.documents if each.kind is Kind.COMMUNITY}
    for name, community in resolved.communities.items():
        members = community.members
        yield SeatLicense(
            name,
            community.site_license.seats,
            members.schools if members else None,
            tuple(role.value for role in members.roles) if members and members.roles is not None else None,
            origins[name].get("site_license.seats"),
        )


def _read_roster_inputs(
    reader: Reader,
    store_index: StoreIndex,
    resolved: ResolvedCustomer | None,
    fresh: FreshRosters,
    name: str,
    choice: RosterChoice,
    record: CustomerRecord | None,
) -> tuple[Snapshot, StoredRoster, Customer, OneRosterRostering] | None:
    """The snapshot to compare, and what the store holds. None where there is nothing to compare: no roster asked
    for, none kept, or none that can be fetched. Raises Refusal."""
    number = record.id if record else None
    if name not in fresh and (choice is not RosterChoice.LAST or number is None or not store_index.has_roster(number)):
        return None
    customer = resolved.customer if resolved else None
    rostering = customer.rostering if customer else None
    if name in fresh:
        if customer is None or not isinstance(rostering, OneRosterRostering):
            raise Refusal([describe_missing_rostering(resolved.span if resolved else None)])
        fresh.refuse_overtaken(name, find_newest_roster_time(reader, number), get_current_moment())
        known = read_stored_roster(reader, number)
        return fresh.read_snapshot(name), known, customer, rostering
    if number is not None and customer is not None and isinstance(rostering, OneRosterRostering):
        last = read_last_snapshot(reader, number)
        return (last, read_stored_roster(reader, number), customer, rostering) if last else None
    return None


def _plan_catalog(workspace: Workspace, reader: Reader) -> CustomerPlan | None:
    """None where the shared lessons are as they should be."""
    invalid = workspace.repository.invalid.get(CATALOG)
    if invalid is not None:
        # A lesson that does not validate is not among the wanted ones, and must not count as removed.
        return build_failed_plan(CATALOG, CATALOG_NAME, invalid)
    documents: CustomerDocuments = read_catalog_documents(workspace.repository, reader)
    changes = compare_documents(documents.wanted, documents.applied)
    if not changes:
        return None
    if workspace.comparison:
        before = read_base_documents(workspace.comparison, CATALOG)
        changes = add_causes(changes, before, {key: each.document for key, each in documents.wanted.items()})
    return build_customer_plan(
        CATALOG,
        documents.name,
        seen=documents.seen,
        declared=changes,
        unchanged_documents=documents.count_unchanged(changes),
        settings=documents.build_settings(changes),
        diagnostics=documents.diagnostics,
    )
