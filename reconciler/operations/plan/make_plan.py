"""Making a plan: reads the files, the sources and the store, and writes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import polars as pl

import reconciler
from reconciler.clock import now
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.resolved import ResolvedCustomer
from reconciler.gc_pause import gc_paused
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Freshness, Plan, SourceSummary
from reconciler.oneroster.snapshot import Snapshot, quarantine_diagnostics
from reconciler.operations.failure import UNFORESEEN, not_planned, unexpected
from reconciler.operations.fetch.fetching import WINDOW, Heard, nobody
from reconciler.operations.fetch.fresh import (
    FreshRosters,
    Given,
    fetched_by_itself,
    fresh_rosters,
    no_roster,
    not_fetched,
)
from reconciler.operations.fetch.snapshots import earlier_roster, last_snapshot, newest_roster
from reconciler.operations.plan.base import (
    differing_customers,
    documents_before,
    elsewhere,
    keys_taken,
    terms_before,
    weakened_documents,
    weakened_settings,
)
from reconciler.operations.plan.documents import (
    CATALOGUE_NAME,
    Documents,
    catalogue_documents,
    customer_documents,
    taken_usernames,
    usernames,
)
from reconciler.operations.plan.fast_path import planned_at_once
from reconciler.operations.plan.renames import RenamedCustomers, renamed_customers, secrets_by_new_id
from reconciler.operations.plan.roster import (
    ComparedRoster,
    KnownRoster,
    Terms,
    compare_roster,
    known_roster,
    summary_of,
)
from reconciler.operations.plan.secrets import secret_states
from reconciler.operations.plan.store_index import Standing
from reconciler.operations.workspace import Workspace
from reconciler.planning.attribution import roster_with_causes, with_causes
from reconciler.planning.customer_plan import customer_plan, failed_plan, refused_plan
from reconciler.planning.documents.document_diff import compare_documents
from reconciler.planning.documents.renames import freeing_first
from reconciler.planning.plan_id import plan_id
from reconciler.planning.roster.seats import SiteLicence, seat_warnings
from reconciler.store.errors import StoreProblem
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord

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
    fetched_at: str = field(default_factory=now)
    given: Given = field(default_factory=dict)
    heard: Heard = nobody


def make_plan(workspace: Workspace, request: PlanRequest) -> Plan:
    """Raises Refusal for what concerns no single customer (an unknown name, the store); everything else is an
    outcome of its customer."""
    with (
        gc_paused(),
        ThreadPoolExecutor(1) as pool,
        workspace.store.reading() as reader,
        fresh_rosters(workspace, request.fetched_at, request.heard) as fresh,
    ):
        if request.bundle:
            (only,) = request.customers
            fresh.read_file(only, request.bundle, pool)
        # Of the configuration last applied nobody is renamed or removed: the others are not asked for.
        records = reader.customers(request.customers if workspace.applied else None)
        comparison = workspace.comparison
        differing = differing_customers(comparison, records) if comparison else None
        renamed = renamed_customers(workspace.repository, records)
        names = freeing_first(_chosen(workspace, request, records, differing, renamed), renamed.renames.former)
        standing = Standing(reader, records)
        plans = []
        for name in _fetched_ahead(workspace, request, fresh, reader, names, records, renamed):
            one = partial(_plan_one, workspace, request, fresh, reader, standing, name, records, renamed)
            record = renamed.record(name, records)
            plans += _by_itself(name, record.name if record else name, one)
        if not request.customers and (differing is None or CATALOGUE in differing):
            plans += _by_itself(CATALOGUE, CATALOGUE_NAME, partial(_plan_catalogue, workspace, reader))
        planned = [*names, *([CATALOGUE] if not request.customers else [])]
        rest = elsewhere(comparison, records, reader.catalogue(), planned, renamed) if comparison else None
    customers = tuple(plans)
    return Plan(
        plan_id=plan_id(workspace.store.identity, customers),
        created_at=now(),
        tool_version=reconciler.__version__,
        store=workspace.store.identity,
        customers=customers,
        base=comparison.base if comparison else None,
        elsewhere=rest,
        weakened=weakened_settings(comparison) if comparison else (),
    )


def _by_itself(customer: str, name: str, work: Callable[[], CustomerPlan | None]) -> list[CustomerPlan]:
    """What goes wrong with one customer is an outcome of that customer and of no other."""
    try:
        made = work()
    except Refusal as refusal:
        return [failed_plan(customer, name, not_planned(customer, refusal))]
    except UNFORESEEN as problem:  # a door: one customer's defect must not keep the others from being planned
        return [failed_plan(customer, name, [unexpected(customer, "planning", problem)])]
    return [made] if made else []


def _fetched_ahead(
    workspace: Workspace,
    request: PlanRequest,
    fresh: FreshRosters,
    reader: Reader,
    names: Sequence[str],
    records: Mapping[str, CustomerRecord],
    renamed: RenamedCustomers,
) -> Iterator[str]:
    """The names in their order, each when its fetch has begun. While one is planned, the next ones are fetched, as many
    as a run may have open; with each that was planned one more begins."""
    waiting = deque(names if request.roster is RosterChoice.FRESH else ())
    open_: set[str] = set()
    for name in names:
        while waiting and len(open_) < WINDOW:
            following = waiting.popleft()
            _begin_fetch(workspace, request, fresh, reader, following, renamed.record(following, records))
            if following in fresh:
                open_.add(following)
        yield name
        fresh.give_up(name)
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
    if name in request.given:
        fresh.give(name, request.given[name])
    elif resolved is not None and name not in fresh and fetched_by_itself(resolved.customer):
        fresh.fetch(resolved.customer, earlier_roster(reader, record.id if record else None))


def _chosen(
    workspace: Workspace,
    request: PlanRequest,
    records: dict[str, CustomerRecord],
    differing: frozenset[str] | None,
    renamed: RenamedCustomers,
) -> list[str]:
    repository = workspace.repository
    live = {slug for slug, record in records.items() if not record.tombstoned}
    known = {*repository.folders, *repository.customers, *repository.invalid, *live} - {CATALOGUE, *renamed.gone()}
    unknown = sorted(set(request.customers) - known)
    if unknown:
        raise Refusal(
            [
                error(
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


def _plan_one(
    workspace: Workspace,
    request: PlanRequest,
    fresh: FreshRosters,
    reader: Reader,
    standing: Standing,
    name: str,
    records: Mapping[str, CustomerRecord],
    renamed: RenamedCustomers,
) -> CustomerPlan:
    comparison = workspace.comparison
    record = renamed.record(name, records)
    former = renamed.renames.former.get(name)
    invalid = workspace.repository.invalid.get(name)
    if invalid is not None:
        return failed_plan(name, record.name if record else name, invalid)
    resolved = workspace.repository.customers.get(name)
    people = _people(reader, record) if record and resolved is None else 0
    choice = RosterChoice.FRESH if request.bundle else request.roster
    if resolved and comparison is None and choice is not RosterChoice.FRESH:
        applies = choice is not RosterChoice.LAST
        at_once = planned_at_once(workspace, standing, resolved, record, renamed.renames, roster_applies=applies)
        if at_once is not None:
            return at_once
    told = renamed.told(name, resolved.span) if resolved else ()
    if any(each.is_error for each in told):
        return failed_plan(name, record.name if record else name, told)
    documents = customer_documents(workspace.repository, reader, standing, name, record, people)
    diagnostics: list[Diagnostic] = [*resolved.warnings, *told] if resolved else []
    diagnostics += documents.diagnostics
    missing: Collection[str] | None = None
    changed_secrets: dict[str, str] = {}
    # Beside a base, secrets are compared by reference alone.
    if resolved and comparison is None and not workspace.applied:
        states = secret_states(
            name,
            resolved.outline.secrets,
            standing.secrets(record.id) if record else {},
            _administrators(record),
            workspace.secrets,
            workspace.store.key,
            former=former,
        )
        missing = states.missing.keys()
        changed_secrets = dict(states.changed)
        diagnostics += states.warnings(name, documents.wanted[Kind.CUSTOMER, name].origins)
    if resolved and former:
        wanted = documents.wanted[Kind.CUSTOMER, name]
        diagnostics += secrets_by_new_id(name, former, wanted.document, missing, resolved.span)
    clashes = taken_usernames(documents.wanted[Kind.CUSTOMER, name], record, reader) if resolved else ()
    if clashes:
        return failed_plan(name, documents.name, clashes)
    if resolved and comparison:
        read = {*comparison.now.customers, *comparison.differing, former or name}
        taken_keys = keys_taken(resolved, record, standing, read)
        if taken_keys:
            return failed_plan(name, documents.name, taken_keys)
    declared = compare_documents(documents.wanted, documents.applied, changed_secrets)
    before = documents_before(comparison, name) if comparison else None
    if before is not None:
        declared = with_causes(declared, before, {key: each.document for key, each in documents.wanted.items()})
    compared: ComparedRoster | None = None
    source: SourceSummary | None = None
    try:
        taken = _taken(reader, standing, resolved, fresh, name, choice, record)
        if taken is not None:
            snapshot, known, customer, rostering = taken
            source = summary_of(snapshot, Freshness.LAST if choice is RosterChoice.LAST else Freshness.FRESH)
            diagnostics += snapshot.diagnostics
            wanted = documents.wanted[Kind.CUSTOMER, name]
            terms = Terms(
                customer,
                rostering,
                tuple(sorted(usernames(wanted.document))),
                workspace.repository.settings.policy.limits,
                wanted.origins,
            )
            compared = compare_roster(snapshot, terms, reader, known)
            if comparison:
                compared = _with_roster_causes(
                    compared, snapshot, terms_before(comparison, customer, terms), reader, known
                )
            diagnostics += compared.diagnostics
            diagnostics += quarantine_diagnostics(compared.decision.aside, SHOWN_PER_RULE)
            diagnostics += seat_warnings(compared.desired, _licences(resolved)) if resolved else ()
        elif resolved is not None and choice is RosterChoice.FRESH:
            diagnostics += not_fetched(resolved.customer, resolved.span)
    except StoreProblem:
        # the store's own trouble is not the source's
        raise
    except Refusal as refusal:
        return refused_plan(name, documents.name, documents.seen, refusal.diagnostics, source)
    return customer_plan(
        name,
        documents.name,
        seen=documents.seen,
        declared=declared,
        unchanged_documents=documents.unchanged(declared),
        settings=documents.settings(declared),
        roster=compared.decision if compared else None,
        belongings=compared.belongings if compared else None,
        roster_applies=choice is not RosterChoice.LAST,
        source=source,
        snapshot=compared.kept if compared and choice is RosterChoice.FRESH else None,
        facts=compared.facts if compared and choice is RosterChoice.FRESH else None,
        doubted=compared is not None and compared.doubted,
        diagnostics=diagnostics,
        weakened=weakened_documents(documents, before or None),
    )


def _with_roster_causes(
    compared: ComparedRoster, snapshot: Snapshot, terms: Terms | None, reader: Reader, known: KnownRoster
) -> ComparedRoster:
    """terms: the base's; None where they are the same. What the base's gates refuse it would not change."""
    by_base: Mapping[Kind, pl.DataFrame] | None = None
    if terms is not None:
        try:
            by_base = compare_roster(snapshot, terms, reader, known).decision.changes
        except Refusal:
            by_base = {}
    changes = roster_with_causes(compared.decision.changes, by_base)
    return replace(compared, decision=replace(compared.decision, changes=changes))


def _administrators(record: CustomerRecord | None) -> Collection[str]:
    return usernames(record.document) if record and not record.tombstoned else frozenset()


def _people(reader: Reader, record: CustomerRecord) -> int:
    """Live accounts of a customer that is to go."""
    return int((~reader.users(record.id)["tombstoned"]).sum())


def _licences(resolved: ResolvedCustomer) -> Iterator[SiteLicence]:
    origins = {each.id: each.origins for each in resolved.declared if each.kind is Kind.COMMUNITY}
    for name, community in resolved.communities.items():
        members = community.members
        yield SiteLicence(
            name,
            community.site_license.seats,
            members.schools if members else None,
            tuple(role.value for role in members.roles) if members and members.roles is not None else None,
            origins[name].get("site_license.seats"),
        )


def _taken(
    reader: Reader,
    standing: Standing,
    resolved: ResolvedCustomer | None,
    fresh: FreshRosters,
    name: str,
    choice: RosterChoice,
    record: CustomerRecord | None,
) -> tuple[Snapshot, KnownRoster, Customer, OneRosterRostering] | None:
    """The snapshot to compare, and what the store holds. None where there is nothing to compare: no roster asked
    for, none kept, or none that can be fetched. Raises Refusal."""
    number = record.id if record else None
    if name not in fresh and (choice is not RosterChoice.LAST or number is None or not standing.has_roster(number)):
        return None
    customer = resolved.customer if resolved else None
    rostering = customer.rostering if customer else None
    if name in fresh:
        if customer is None or not isinstance(rostering, OneRosterRostering):
            raise Refusal([no_roster(resolved.span if resolved else None)])
        fresh.refuse_overtaken(name, newest_roster(reader, number), now())
        known = known_roster(reader, number)
        return fresh.take(name), known, customer, rostering
    if number is not None and customer is not None and isinstance(rostering, OneRosterRostering):
        last = last_snapshot(reader, number)
        return (last, known_roster(reader, number), customer, rostering) if last else None
    return None


def _plan_catalogue(workspace: Workspace, reader: Reader) -> CustomerPlan | None:
    """None where the shared lessons are as they should be."""
    invalid = workspace.repository.invalid.get(CATALOGUE)
    if invalid is not None:
        # A lesson that does not validate is not among the wanted ones, and must not count as removed.
        return failed_plan(CATALOGUE, CATALOGUE_NAME, invalid)
    documents: Documents = catalogue_documents(workspace.repository, reader)
    changes = compare_documents(documents.wanted, documents.applied)
    if not changes:
        return None
    if workspace.comparison:
        before = documents_before(workspace.comparison, CATALOGUE)
        changes = with_causes(changes, before, {key: each.document for key, each in documents.wanted.items()})
    return customer_plan(
        CATALOGUE,
        documents.name,
        seen=documents.seen,
        declared=changes,
        unchanged_documents=documents.unchanged(changes),
        settings=documents.settings(changes),
        diagnostics=documents.diagnostics,
    )
