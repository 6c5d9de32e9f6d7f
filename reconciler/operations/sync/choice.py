"""Whom a sync is of: those named, all that are fetched by themselves, or those of them whose moment has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import reconciler
from reconciler import clock
from reconciler.config.fields.addresses import host_of
from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.sync import ApiSync, SftpSync
from reconciler.config.resolved import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic, Refusal, error, info
from reconciler.model.schedule import CLOCKS_APART, Period, Schedule, is_ahead
from reconciler.operations.fetch.fresh import fetched_by_itself
from reconciler.operations.sync.applied_config import applied_customer
from reconciler.store.open import Store
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.sync.records import SyncRecord, keep_schedule

#: What a schedule's digest ends with: another version may tell moments otherwise.
VERSION = f" {reconciler.__version__}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A customer whose roster can be fetched. schedule: None for who is fetched only when somebody asks. last: what
    became of it before."""

    number: int
    resolved: ResolvedCustomer
    rostering: OneRosterRostering
    schedule: Schedule | None
    last: SyncRecord

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
                return host_of(sync.url).lower()
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A customer of whom the store has no configuration any more. why: what its reading raised."""

    id: str
    number: int
    why: Refusal


@dataclass(frozen=True, slots=True)
class Choice:
    """candidates: to be synced, by id. skipped: named and not synced, and why. broken: nobody can tell from where these
    would be fetched, or when."""

    candidates: tuple[Candidate, ...]
    skipped: Mapping[str, Diagnostic]
    broken: tuple[Broken, ...]


def choose(store: Store, named: Iterable[str], *, due: bool) -> Choice:
    """Writes down when those are due whose configuration is new. Raises Refusal where a name is nobody's."""
    now = clock.now()
    wanted = tuple(dict.fromkeys(named))
    found: dict[str, Candidate] = {}
    skipped: dict[str, Diagnostic] = {}
    broken: list[Broken] = []
    told: list[tuple[SyncRecord, SyncRecord]] = []
    with store.reading() as reader:
        looked_at = (
            reader.to_be_looked_at(now, text(datetime.fromisoformat(now) + CLOCKS_APART), VERSION) if due else None
        )
        if looked_at is not None and not looked_at and not wanted:
            return Choice((), {}, ())
        records = _records(reader, wanted, looked_at)
        syncs = reader.syncs()
        for slug, record in records.items():
            last = syncs.get(record.id, SyncRecord(record.id))
            try:
                resolved = applied_customer(reader, record)
            except Refusal as refusal:
                # Who was not fetched by itself before is asked for by name alone.
                if slug in wanted or last.schedule is None or last.next_at is not None:
                    broken.append(Broken(slug, record.id, refusal))
                continue
            schedule = schedule_of(store, resolved.customer)
            current = with_schedule(last, record, schedule, now)
            if current != last:
                told.append((last, current))
            why = _not_synced(resolved.customer, schedule, current, now, due=due)
            if why is not None:
                if slug in wanted:
                    skipped[slug] = why
                continue
            if not wanted and schedule is None:
                continue
            rostering = resolved.customer.rostering
            assert isinstance(rostering, OneRosterRostering)
            found[slug] = Candidate(record.id, resolved, rostering, schedule, current)
    for read, current in told:
        keep_schedule(store, read, current)
    return Choice(tuple(found.values()), skipped, tuple(broken))


def schedule_of(store: Store, customer: Customer) -> Schedule | None:
    """None for who is not fetched by itself."""
    rostering = customer.rostering
    if not fetched_by_itself(customer) or not isinstance(rostering, OneRosterRostering) or rostering.sync.type == "zip":
        return None
    sync = rostering.sync
    if sync.frequency != "auto" or sync.period is None:
        return None
    return Schedule(Period(sync.period), customer.timezone, sync.at, f"{store.uuid}/{customer.id}")


def with_schedule(last: SyncRecord, record: CustomerRecord, schedule: Schedule | None, now: str) -> SyncRecord:
    """`last` with the moment of the next fetch, told anew where the configuration is not the one it was told by."""
    digest = None if record.settings_digest is None else f"{record.settings_digest}{VERSION}"
    attempted = datetime.fromisoformat(last.attempted_at) if last.attempted_at else None
    moment = datetime.fromisoformat(now)
    if digest is not None and digest == last.schedule and not is_ahead(attempted, moment):
        return last
    if schedule is None:
        return replace(last, schedule=digest, next_at=None)
    following = text(schedule.next_due(attempted, moment))
    # A retry that waits still waits, unless the new times are nearer.
    pending = last.next_at if last.tries and last.next_at else following
    return replace(last, schedule=digest, next_at=min(pending, following))


def text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _records(reader: Reader, wanted: tuple[str, ...], looked_at: tuple[str, ...] | None) -> dict[str, CustomerRecord]:
    few = wanted or looked_at
    found = reader.customers(few if few is not None and len(few) <= FEW else None)
    alive = {slug: record for slug, record in found.items() if not record.tombstoned}
    unknown = [name for name in wanted if name not in alive]
    if unknown:
        raise Refusal([_unknown(name) for name in unknown])
    if wanted:
        return {slug: record for slug, record in alive.items() if slug in wanted}
    return alive if looked_at is None else {slug: alive[slug] for slug in looked_at if slug in alive}


#: So many customers are read one by one, instead of all.
FEW = 50


def _unknown(name: str) -> Diagnostic:
    return error(
        "unknown-customer",
        f"no customer of the store is called {name}",
        hint="a sync goes by what was applied: apply the customer first, or correct the name",
    )


def _not_synced(
    customer: Customer, schedule: Schedule | None, last: SyncRecord, now: str, *, due: bool
) -> Diagnostic | None:
    """Why nothing is fetched; None where it is."""
    rostering = customer.rostering
    if customer.status != "active":
        return _skipped(customer, "it is deactivated", "nothing is synced of a deactivated customer")
    if not isinstance(rostering, OneRosterRostering):
        return _skipped(customer, "its people are looked after by hand", "rostering is of type manual")
    if rostering.sync.type == "zip":
        return _skipped(customer, "its roster is a zip", f"reconciler apply {customer.id} --zip FILE")
    if not due:
        return None
    if schedule is None:
        hint = f"reconciler sync {customer.id}, without --due, fetches it now"
        return _skipped(customer, "frequency is manual", hint)
    if last.next_at is None or last.next_at > now:
        return _skipped(customer, "it is not due", f"its next moment is {last.next_at}")
    return None


def _skipped(customer: Customer, why: str, hint: str) -> Diagnostic:
    return info("not-synced", f"{customer.id} was not synced: {why}", hint=hint)
