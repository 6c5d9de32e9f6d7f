"""Select the customers to sync: the named ones, all with an automatic frequency, or those of them that are due."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import reconciler
from reconciler import clock
from reconciler.config.fields import get_host
from reconciler.config.load import ResolvedCustomer
from reconciler.config.models import ApiSync, Customer, OneRosterRostering, SftpSync
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info
from reconciler.model.ids import CustomerId, CustomerNumber, Moment
from reconciler.model.moment import format_moment
from reconciler.model.schedule import MAX_CLOCK_SKEW, Period, Schedule, is_ahead
from reconciler.operations.fetch.fresh import is_fetched_automatically
from reconciler.operations.sync.applied_config import read_applied_customer
from reconciler.store.open import Store
from reconciler.store.read import CustomerRecord, Reader
from reconciler.store.sync import SyncRecord, list_sync_candidates, read_sync_records, save_schedule

#: Suffix of a schedule's digest, because another version may compute other moments.
VERSION_SUFFIX = f" {reconciler.__version__}"


@dataclass(frozen=True, slots=True)
class SyncCandidate:
    """A customer whose roster can be fetched."""

    customer_number: CustomerNumber
    resolved: ResolvedCustomer
    rostering: OneRosterRostering
    #: None if it is fetched only on request
    schedule: Schedule | None
    last_sync: SyncRecord

    @property
    def id(self) -> CustomerId:
        return self.resolved.id

    @property
    def customer(self) -> Customer:
        return self.resolved.customer

    @property
    def host(self) -> str:
        """Return the name of the source's host in lower case."""
        sync = self.rostering.sync
        match sync:
            case SftpSync():
                return sync.host.lower()
            case ApiSync():
                return get_host(sync.url).lower()
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class UnreadableCustomer:
    """A customer whose configuration in the store cannot be read."""

    id: CustomerId
    customer_number: CustomerNumber
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class SyncSelection:
    #: sorted by id
    candidates: tuple[SyncCandidate, ...]
    #: reasons why named customers are not synced, by id
    skipped: Mapping[CustomerId, Diagnostic]
    unreadable: tuple[UnreadableCustomer, ...]


def select_sync_candidates(store: Store, named: Iterable[CustomerId], *, due_only: bool) -> SyncSelection:
    """Select the customers to sync, and save the next due moment of those whose configuration changed.

    Raises Refusal for an unknown id."""
    now = clock.get_current_moment()
    wanted = tuple(dict.fromkeys(named))
    candidates: dict[str, SyncCandidate] = {}
    skipped: dict[CustomerId, Diagnostic] = {}
    unreadable: list[UnreadableCustomer] = []
    rescheduled: list[tuple[SyncRecord, SyncRecord]] = []
    with store.open_reader() as reader:
        due_customers = (
            list_sync_candidates(
                reader.connection, now, format_moment(datetime.fromisoformat(now) + MAX_CLOCK_SKEW), VERSION_SUFFIX
            )
            if due_only
            else None
        )
        if due_customers is not None and not due_customers and not wanted:
            return SyncSelection((), {}, ())
        records = _read_records(reader, wanted, due_customers)
        syncs = read_sync_records(reader.connection)
        for slug, record in records.items():
            last = syncs.get(record.id, SyncRecord(record.id))
            try:
                resolved = read_applied_customer(reader, record)
            except Refusal as refusal:
                # A customer that was not scheduled before is synced only by name.
                if slug in wanted or last.schedule is None or last.next_at is not None:
                    unreadable.append(UnreadableCustomer(slug, record.id, refusal))
                continue
            schedule = build_schedule(store, resolved.customer)
            current = update_schedule(last, record, schedule, now)
            if current != last:
                rescheduled.append((last, current))
            why = _explain_not_synced(resolved.customer, schedule, current, now, due=due_only)
            if why is not None:
                if slug in wanted:
                    skipped[slug] = why
                continue
            if not wanted and schedule is None:
                continue
            rostering = resolved.customer.rostering
            assert isinstance(rostering, OneRosterRostering)
            candidates[slug] = SyncCandidate(record.id, resolved, rostering, schedule, current)
    for last, current in rescheduled:
        save_schedule(store, last, current)
    return SyncSelection(tuple(candidates.values()), skipped, tuple(unreadable))


def build_schedule(store: Store, customer: Customer) -> Schedule | None:
    """Return the schedule of a customer, or None if it is not fetched automatically."""
    rostering = customer.rostering
    if (
        not is_fetched_automatically(customer)
        or not isinstance(rostering, OneRosterRostering)
        or rostering.sync.type == "zip"
    ):
        return None
    sync = rostering.sync
    if sync.frequency != "auto" or sync.period is None:
        return None
    return Schedule(Period(sync.period), customer.timezone, sync.at, f"{store.uuid}/{customer.id}")


def update_schedule(last: SyncRecord, record: CustomerRecord, schedule: Schedule | None, now: Moment) -> SyncRecord:
    """Return the record with its next due moment, computed again if the configuration changed."""
    digest = None if record.settings_digest is None else f"{record.settings_digest}{VERSION_SUFFIX}"
    attempted = datetime.fromisoformat(last.attempted_at) if last.attempted_at else None
    moment = datetime.fromisoformat(now)
    if digest is not None and digest == last.schedule and not is_ahead(attempted, moment):
        return last
    if schedule is None:
        return replace(last, schedule=digest, next_at=None)
    following = format_moment(schedule.compute_next_due(attempted, moment))
    # A pending retry stays, unless the new schedule is earlier.
    pending = last.next_at if last.tries and last.next_at else following
    return replace(last, schedule=digest, next_at=min(pending, following))


def _read_records(
    reader: Reader, wanted: tuple[CustomerId, ...], due_customers: tuple[CustomerId, ...] | None
) -> dict[CustomerId, CustomerRecord]:
    ids = wanted or due_customers
    records = reader.read_customers(ids if ids is not None and len(ids) <= FEW_CUSTOMERS else None)
    active = {slug: record for slug, record in records.items() if not record.tombstoned}
    unknown = [name for name in wanted if name not in active]
    if unknown:
        raise Refusal([_describe_unknown_customer(name) for name in unknown])
    if wanted:
        return {slug: record for slug, record in active.items() if slug in wanted}
    return active if due_customers is None else {slug: active[slug] for slug in due_customers if slug in active}


#: Up to this number, customers are read one by one instead of all.
FEW_CUSTOMERS = 50


def _describe_unknown_customer(name: CustomerId) -> Diagnostic:
    return build_error(
        "unknown-customer",
        f"customer {name} is not in the store",
        hint="sync uses applied settings. Apply the customer first, or correct the name.",
    )


def _explain_not_synced(
    customer: Customer, schedule: Schedule | None, last: SyncRecord, now: Moment, *, due: bool
) -> Diagnostic | None:
    """Return the reason why nothing is fetched, or None."""
    rostering = customer.rostering
    if customer.status != "active":
        return _describe_skipped(customer, "it is deactivated", "Set status: active and apply first.")
    if not isinstance(rostering, OneRosterRostering):
        return _describe_skipped(customer, "its people are managed manually", "Configure rostering of type oneroster.")
    if rostering.sync.type == "zip":
        return _describe_skipped(
            customer, "its roster is a ZIP file", f"Apply the file: reconciler apply {customer.id} --zip FILE"
        )
    if not due:
        return None
    hint = f"Sync it now: reconciler sync {customer.id}"
    if schedule is None:
        return _describe_skipped(customer, "frequency is manual", hint)
    if last.next_at is None:
        return _describe_skipped(customer, "its next automatic sync is not scheduled", hint)
    if last.next_at > now:
        return _describe_skipped(customer, f"it is not due before {last.next_at}", hint)
    return None


def _describe_skipped(customer: Customer, why: str, hint: str) -> Diagnostic:
    return build_info("not-synced", f"{customer.id} was not synced: {why}", hint=hint)
