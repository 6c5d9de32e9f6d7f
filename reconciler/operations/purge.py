"""Purge data that is past its customer's retention period, customer by customer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from reconciler import clock
from reconciler.config.models import OneRosterRostering
from reconciler.config.validation import parse_customer_document
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId, Moment
from reconciler.model.plan import CATALOG
from reconciler.operations.actor import find_actor
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.fetch.fetching import delete_fetch_checkpoints
from reconciler.operations.workspace import Workspace
from reconciler.store.read import CustomerRecord
from reconciler.store.removal import (
    NOTHING_TO_PURGE,
    Certificate,
    PurgePreview,
    build_purge_preview,
    find_newest_moment,
    list_purge_candidates,
    purge_customer,
)

#: retention of customers without a roster, and of the catalog
RETENTION: timedelta = OneRosterRostering.model_fields["retention"].default

#: A clock that is further ahead of the newest record in the store may be wrong.
MAX_CLOCK_LEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PurgeCandidate:
    id: CustomerId
    retention: timedelta
    #: rows deleted before this moment are past retention
    cutoff: Moment
    #: the files have the customer
    is_declared: bool
    purgeable: PurgePreview


@dataclass(frozen=True, slots=True)
class PurgeResult:
    id: CustomerId
    #: None if there was nothing to purge, or the purge failed
    certificate: Certificate | None
    diagnostics: tuple[Diagnostic, ...] = ()


def refuse_wrong_clock(workspace: Workspace, today: str | None) -> None:
    """Raise Refusal if the clock is more than a day ahead of everything in the store, unless a person confirms it.

    today: the confirmed date, YYYY-MM-DD in UTC; it must be the clock's."""
    if today is not None:
        if today != clock.get_current_day():
            raise Refusal(
                [
                    build_error(
                        "clock-disagrees",
                        f"--today says {today}, but the clock says {clock.get_current_day()}; nothing was purged",
                    )
                ]
            )
        return
    newest = find_newest_moment(workspace.store)
    if datetime.fromisoformat(clock.get_current_moment()) - datetime.fromisoformat(newest) > MAX_CLOCK_LEAD:
        raise Refusal(
            [
                build_error(
                    "clock-ahead",
                    f"nothing was purged: the clock says {clock.get_current_moment()}, but the newest record in the "
                    f"store is from {newest}, and a wrong clock would purge people too early",
                    hint=f"If the clock is right, pass --today {clock.get_current_day()}.",
                )
            ]
        )


@dataclass(frozen=True, slots=True)
class PurgeSurvey:
    """What a purge would delete, and the customers of which that cannot be known."""

    #: every other customer of the store and the catalog, sorted by id, also those with nothing to purge
    candidates: tuple[PurgeCandidate, ...]
    #: customers whose rows cannot be read; nothing of them is purged
    failures: tuple[PurgeResult, ...]


def survey_purge(workspace: Workspace) -> PurgeSurvey:
    """Find what a purge would delete of each customer. One that cannot be read keeps no other from being purged."""
    now = clock.get_current_moment()
    with workspace.store.open_reader() as reader:
        records: dict[CustomerId, CustomerRecord | None] = {CATALOG: None, **reader.read_customers()}
    candidates, failures, cuts = [], [], {}
    for slug, record in sorted(records.items()):
        try:
            cuts[slug] = clock.subtract_span(now, find_retention(record) if record is not None else RETENTION)
        except Refusal as refusal:
            failures.append(PurgeResult(slug, None, refusal.diagnostics))
    declared = list_declared_customers(workspace)
    concerned = list_purge_candidates(workspace.store, max(cuts.values()))
    for slug, cut in cuts.items():
        record = records[slug]
        try:
            is_concerned = record is None or record.id in concerned
            candidates.append(
                _find_candidate(workspace, slug, cut, now, is_declared=slug in declared, is_concerned=is_concerned)
            )
        except Refusal as refusal:
            failures.append(PurgeResult(slug, None, refusal.diagnostics))
        except UNEXPECTED_EXCEPTIONS as problem:  # one customer's rows must not keep the others from being purged
            failures.append(PurgeResult(slug, None, (report_unexpected_error(slug, "purging", problem),)))
    return PurgeSurvey(tuple(candidates), tuple(sorted(failures, key=lambda each: each.id)))


def _find_candidate(
    workspace: Workspace, slug: CustomerId, cut: Moment, now: Moment, *, is_declared: bool, is_concerned: bool
) -> PurgeCandidate:
    """Return what a purge up to `cut` would remove of one customer.

    Nothing of the customer is read where `is_concerned` is False: none of it can be past its retention.
    """
    retention = datetime.fromisoformat(now) - datetime.fromisoformat(cut)
    preview = (
        build_purge_preview(workspace.store, slug, cut, is_configured=is_declared) if is_concerned else NOTHING_TO_PURGE
    )
    return PurgeCandidate(slug, retention, cut, is_declared, preview)


def purge_candidate(
    workspace: Workspace,
    candidate: PurgeCandidate,
    *,
    lock_timeout: float = 0.0,
    on_finished: Callable[[PurgeResult], object],
) -> PurgeResult:
    """Purge one customer, and return a failure as a result instead of raising it."""
    try:
        certificate = purge_customer(
            workspace.store,
            candidate.id,
            candidate.cutoff,
            is_configured=candidate.is_declared,
            now=clock.get_current_moment(),
            actor=find_actor(),
            lock_timeout=lock_timeout,
        )
        if certificate is not None:
            delete_fetch_checkpoints()
        result = PurgeResult(candidate.id, certificate)
    except Refusal as refusal:
        result = PurgeResult(candidate.id, None, refusal.diagnostics)
    except UNEXPECTED_EXCEPTIONS as problem:  # one customer's defect must not keep the others from being purged
        result = PurgeResult(candidate.id, None, (report_unexpected_error(candidate.id, "purging", problem),))
    on_finished(result)
    return result


def find_retention(record: CustomerRecord) -> timedelta:
    """Return the retention period last applied. Raises Refusal if a change outside reconciler made it unreadable."""
    try:
        rostering = parse_customer_document(record.document).rostering
    except (ValidationError, AttributeError, TypeError) as problem:
        raise Refusal(
            [
                build_error(
                    "applied-configuration-unreadable",
                    f"the configuration of {record.slug} in the store is invalid; nothing of it was purged",
                    hint=f"Apply its files again: reconciler apply {record.slug} --roster none",
                )
            ]
        ) from problem
    return rostering.retention if isinstance(rostering, OneRosterRostering) else RETENTION


def list_declared_customers(workspace: Workspace) -> frozenset[CustomerId]:
    """Return the ids of customers that the files have, valid or not, former ids included."""
    repository = workspace.repository
    former = {name for each in repository.customers.values() for name in each.previously}
    return frozenset({*repository.customers, *repository.invalid, *former})
