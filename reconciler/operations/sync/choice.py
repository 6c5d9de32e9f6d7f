"""Whom a sync is of: those named, all that are fetched by themselves, or those of them whose moment has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import reconciler
from reconciler import clock
from reconciler.config.fields.addresses import get_host
from reconciler.config.load.resolved import ResolvedCustomer
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.sync import ApiSync, SftpSync
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info
from reconciler.model.schedule import MAX_CLOCK_SKEW, Period, Schedule, is_ahead
from reconciler.operations.fetch.fresh import is_fetched_automatically
from reconciler.operations.sync.applied_config import read_applied_customer
from reconciler.store.open import Store
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.sync.records import SyncRecord, list_sync_candidates, read_sync_records, save_schedule

#: What a schedule's digest ends with: another version may tell moments otherwise.
VERSION_SUFFIX = f" {reconciler.__version__}"


@dataclass(frozen=True, slots=True)
class SyncCandidate:
    """A customer whose roster can be fetched. schedule: None for who is fetched only when somebody asks. last: what
    became of it before."""

    customer_number: int
    resolved: ResolvedCustomer
    rostering: OneRosterRostering
    schedule: Schedule | None
    last_sync: SyncRecord

    @property
    def id(self) -> str:
        return self.resolved.id

    @property
    def customer(self) -> Customer:
        return self.resolved.customer

    @property
    def host(self) -> str:
        """Whom its roster is fetched from, by name in lower case."""
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
    """A customer of whom the store has no configuration any more. why: what its reading raised."""

    id: str
    customer_number: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class SyncSelection:
    """candidates: to be synced, by id. skipped: named and not synced, and why. broken: nobody can tell from where these
    would be fetched, or when."""

    candidates: tuple[SyncCandidate, ...]
    skipped: Mapping[str, Diagnostic]
    unreadable: tuple[UnreadableCustomer, ...]


def select_sync_candidates(store: Store, named: Iterable[str], *, due_only: bool) -> SyncSelection:
    """Writes down when those are due whose configuration is new. Raises Refusal where a name is nobody's."""
    now = clock.get_current_moment()
    wanted = tuple(dict.fromkeys(named))
    found: dict[str, SyncCandidate] = {}
    skipped: dict[str, Diagnostic] = {}
    broken: list[UnreadableCustomer] = []
    told: list[tuple[SyncRecord, SyncRecord]] = []
    with store.open_reader() as reader:
        looked_at = (
            list_sync_candidates(
                reader.connection, now, format_moment(datetime.fromisoformat(now) + MAX_CLOCK_SKEW), VERSION_SUFFIX
            )
            if due_only
            else None
        )
        if looked_at is not None and not looked_at and not wanted:
            return SyncSelection((), {}, ())
        records = _read_records(reader, wanted, looked_at)
        syncs = read_sync_records(reader.connection)
        for slug, record in records.items():
            last = syncs.get(record.id, SyncRecord(record.id))
            try:
                resolved = read_applied_customer(reader, record)
            except Refusal as refusal:
                # Who was not fetched by itself before is asked for by name alone.
                if slug in wanted or last.schedule is None or last.next_at is not None:
                    broken.append(UnreadableCustomer(slug, record.id, refusal))
                continue
            schedule = build_schedule(store, resolved.customer)
            current = update_schedule(last, record, schedule, now)
            if current != last:
                told.append((last, current))
            why = _explain_not_synced(resolved.customer, schedule, current, now, due=due_only)
            if why is not None:
                if slug in wanted:
                    skipped[slug] = why
                continue
            if not wanted and schedule is None:
                continue
            rostering = resolved.customer.rostering
            assert isinstance(rostering, OneRosterRostering)
            found[slug] = SyncCandidate(record.id, resolved, rostering, schedule, current)
    for read, current in told:
        save_schedule(store, read, current)
    return SyncSelection(tuple(found.values()), skipped, tuple(broken))


def build_schedule(store: Store, customer: Customer) -> Schedule | None:
    """None for who is not fetched by itself."""
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


def update_schedule(last: SyncRecord, record: CustomerRecord, schedule: Schedule | None, now: str) -> SyncRecord:
    """`last` with the moment of the next fetch, told anew where the configuration is not the one it was told by."""
    digest = None if record.settings_digest is None else f"{record.settings_digest}{VERSION_SUFFIX}"
    attempted = datetime.fromisoformat(last.attempted_at) if last.attempted_at else None
    moment = datetime.fromisoformat(now)
    if digest is not None and digest == last.schedule and not is_ahead(attempted, moment):
        return last
    if schedule is None:
        return replace(last, schedule=digest, next_at=None)
    following = format_moment(schedule.compute_next_due(attempted, moment))
    # A retry that waits still waits, unless the new times are nearer.
    pending = last.next_at if last.tries and last.next_at else following
    return replace(last, schedule=digest, next_at=min(pending, following))


def format_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _read_records(
    reader: Reader, wanted: tuple[str, ...], due_customers: tuple[str, ...] | None
) -> dict[str, CustomerRecord]:
    few = wanted or due_customers
    found = reader.read_customers(few if few is not None and len(few) <= FEW_CUSTOMERS else None)
    alive = {slug: record for slug, record in found.items() if not record.tombstoned}
    unknown = [name for name in wanted if name not in alive]
    if unknown:
        raise Refusal([_describe_unknown_customer(name) for name in unknown])
    if wanted:
        return {slug: record for slug, record in alive.items() if slug in wanted}
    return alive if due_customers is None else {slug: alive[slug] for slug in due_customers if slug in alive}


#: So many customers are read one by one, instead of all.
FEW_CUSTOMERS = 50


def _describe_unknown_customer(name: str) -> Diagnostic:
    return build_error(
        "unknown-customer",
        f"no customer of the store is called {name}",
        hint="a sync goes by what was applied: apply the customer first, or correct the name",
    )


def _explain_not_synced(
    customer: Customer, schedule: Schedule | None, last: SyncRecord, now: str, *, due: bool
) -> Diagnostic | None:
    """Why nothing is fetched; None where it is."""
    rostering = customer.rostering
    if customer.status != "active":
        return _describe_skipped(customer, "it is deactivated", "nothing is synced of a deactivated customer")
    if not isinstance(rostering, OneRosterRostering):
        return _describe_skipped(customer, "its people are looked after by hand", "rostering is of type manual")
    if rostering.sync.type == "zip":
        return _describe_skipped(customer, "its roster is a zip", f"reconciler apply {customer.id} --zip FILE")
    if not due:
        return None
    if schedule is None:
        hint = f"reconciler sync {customer.id}, without --due, fetches it now"
        return _describe_skipped(customer, "frequency is manual", hint)
    if last.next_at is None or last.next_at > now:
        return _describe_skipped(customer, "it is not due", f"its next moment is {last.next_at}")
    return None


def _describe_skipped(customer: Customer, why: str, hint: str) -> Diagnostic:
    return build_info("not-synced", f"{customer.id} was not synced: {why}", hint=hint)
