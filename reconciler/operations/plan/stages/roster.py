"""Third stage of a customer's plan: compare its roster, if there is one to compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from reconciler.clock import get_current_moment
from reconciler.config.load import ResolvedCustomer
from reconciler.config.models import Customer, OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.model.kind import Kind
from reconciler.model.plan import Freshness, SourceSummary
from reconciler.oneroster.snapshot import Snapshot, build_quarantine_diagnostics
from reconciler.operations.fetch.fresh import describe_missing_rostering, describe_unfetched_roster
from reconciler.operations.fetch.snapshots import find_newest_roster_time, read_last_snapshot
from reconciler.operations.plan import roster
from reconciler.operations.plan.base import build_base_roster_settings
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.documents import list_admin_usernames
from reconciler.operations.plan.request import RosterChoice
from reconciler.operations.plan.stages.documents import DocumentComparison
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.planning.attribution import add_roster_causes
from reconciler.planning.roster import SeatLicense, warn_exceeded_seats
from reconciler.store.errors import StoreProblem

#: Quarantined rows of one rule that get a diagnostic each; the others are counted.
SHOWN_PER_RULE = 1000


@dataclass(frozen=True, slots=True)
class RosterStage:
    #: None if no roster is compared, or it was refused
    comparison: roster.RosterComparison | None = None
    #: None if the roster could not be read
    source: SourceSummary | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    #: reasons why the source or a gate refused the roster; None if nothing did
    refusal: tuple[Diagnostic, ...] | None = None


@dataclass(frozen=True, slots=True)
class _RosterInputs:
    snapshot: Snapshot
    stored: roster.StoredRoster
    customer: Customer
    rostering: OneRosterRostering


def compare_customer_roster(context: PlanContext, files: CustomerFiles, documents: DocumentComparison) -> RosterStage:
    """Compare the customer's roster. Raises StoreProblem; every other refusal is part of the result."""
    if documents.hold_causes:
        # Its people would be new accounts, and those of the customer that it looks like would leave.
        return RosterStage()
    source: SourceSummary | None = None
    try:
        inputs = _read_roster_inputs(context, files)
        if inputs is None:
            return RosterStage(diagnostics=tuple(_describe_missing_roster(context, files)))
        is_last = context.request.effective_roster is RosterChoice.LAST
        source = roster.summarize_source(inputs.snapshot, Freshness.LAST if is_last else Freshness.FRESH)
        comparison = _compare_inputs(context, files, documents, inputs)
    except StoreProblem:
        raise
    except Refusal as refusal:
        return RosterStage(source=source, refusal=refusal.diagnostics)
    diagnostics = (
        *inputs.snapshot.diagnostics,
        *comparison.diagnostics,
        *build_quarantine_diagnostics(comparison.decision.quarantine, SHOWN_PER_RULE),
        *(warn_exceeded_seats(comparison.desired, _list_site_licenses(files.resolved)) if files.resolved else ()),
    )
    return RosterStage(comparison, source, diagnostics)


def _read_roster_inputs(context: PlanContext, files: CustomerFiles) -> _RosterInputs | None:
    """Return None if the plan asks for no roster, none was saved, or none can be fetched. Raises Refusal."""
    if files.id in context.fresh:
        return _read_fresh_inputs(context, files)
    record, customer = files.record, files.resolved.customer if files.resolved else None
    rostering = customer.rostering if customer else None
    if (
        context.request.effective_roster is not RosterChoice.LAST
        or record is None
        or customer is None
        or not isinstance(rostering, OneRosterRostering)
        or not context.store_index.has_roster(record.id)
    ):
        return None
    last = read_last_snapshot(context.reader, record.id)
    return (
        _RosterInputs(last, roster.read_stored_roster(context.reader, record.id), customer, rostering) if last else None
    )


def _read_fresh_inputs(context: PlanContext, files: CustomerFiles) -> _RosterInputs:
    rostering = files.resolved.customer.rostering if files.resolved else None
    if files.resolved is None or not isinstance(rostering, OneRosterRostering):
        raise Refusal([describe_missing_rostering(files.resolved.span if files.resolved else None)])
    number = files.record.id if files.record else None
    newest = find_newest_roster_time(context.reader, number)
    context.fresh.refuse_overtaken(files.id, newest, get_current_moment())
    # The store is read while another thread unzips the ZIP file.
    stored = roster.read_stored_roster(context.reader, number)
    return _RosterInputs(context.fresh.read_snapshot(files.id), stored, files.resolved.customer, rostering)


def _describe_missing_roster(context: PlanContext, files: CustomerFiles) -> Iterator[Diagnostic]:
    if files.resolved is not None and context.request.effective_roster is RosterChoice.FRESH:
        yield from describe_unfetched_roster(files.resolved.customer, files.resolved.span)


def _compare_inputs(
    context: PlanContext, files: CustomerFiles, documents: DocumentComparison, inputs: _RosterInputs
) -> roster.RosterComparison:
    wanted = documents.documents.wanted[Kind.CUSTOMER, files.id]
    number = files.record.id if files.record else None
    settings = roster.RosterSettings(
        inputs.customer,
        inputs.rostering,
        tuple(sorted(list_admin_usernames(wanted.document))),
        context.repository.settings.policy.limits,
        wanted.origins,
        partial(context.source_index.list_other_customers, files.id, number, wanted.document),
    )
    comparison = roster.compare_roster(inputs.snapshot, settings, context.reader, inputs.stored)
    if context.comparison is None:
        return comparison
    base_settings = build_base_roster_settings(context.comparison, inputs.customer, settings)
    by_base = _compare_by_base(context, inputs, base_settings) if base_settings is not None else None
    changes = add_roster_causes(comparison.decision.changes, by_base)
    return replace(comparison, decision=replace(comparison.decision, changes=changes))


def _compare_by_base(
    context: PlanContext, inputs: _RosterInputs, base_settings: roster.RosterSettings
) -> Mapping[Kind, pl.DataFrame]:
    """Return the changes that the same roster would make under the base's settings; none if its gates refuse it."""
    try:
        return roster.compare_roster(inputs.snapshot, base_settings, context.reader, inputs.stored).decision.changes
    except Refusal:
        return {}


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
