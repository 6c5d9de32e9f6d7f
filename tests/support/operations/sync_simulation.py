"""Simulates weeks of scheduled syncs of many districts under a frozen clock."""

# People come and go, servers refuse, files are cut or half empty. What has to be true of it all is checked against what
# the districts know themselves.

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from reconciler import clock
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.schedule import Period, Schedule
from reconciler.model.sync import SyncOutcome
from reconciler.oneroster.sources.interface import FetchRequest, SourceBundle
from reconciler.operations.location import Location
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from tests.support.customers.project import Project
from tests.support.roster_server.authority import CONSUMER_KEY
from tests.support.roster_server.server import RosterServer
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.sources.in_memory import SFTP, GivenSource, Sources, packed

ZONES = ("America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")
#: Chances of each fetch.
CHANGE, FAULT, EXODUS = 0.05, 0.04, 0.004
#: Longer than the longest time after which everything is compared in any case.
OFTEN_COMPARED = timedelta(days=30)
MOST_TRIES = 3

API = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {{type: api, url: "{url}", authorization: oauth1, consumer_key: {key},
         secret_key: {{secret: oneroster}}{auto}}}
"""


@dataclass(frozen=True)
class Fetch:
    """One fetch and what came of it. tick: of the run. fault: what the source did, None for nothing. content: of the
    bundle."""

    tick: datetime
    fault: str | None
    content: int
    outcome: SyncOutcome
    early: bool
    codes: frozenset[str]


@dataclass
class District(GivenSource):
    """roster: as it is. good: people of the last roster that came whole. gone: whoever ever left it. log: fetches that
    are over."""

    given: object = None
    name: str = ""
    schedule: Schedule = field(default_factory=lambda: Schedule(Period.DAILY))
    roster: Bundle = field(default_factory=bundle)
    chance: random.Random = field(default_factory=random.Random)
    good: frozenset[str] = frozenset()
    gone: set[str] = field(default_factory=set)
    log: list[Fetch] = field(default_factory=list)
    fault: str | None = None
    sent: Bundle | None = None
    version: int = 0
    bytes: dict[tuple[int, str | None], bytes] = field(default_factory=dict)

    def fetch(self, ask: FetchRequest) -> SourceBundle:
        self.prepare()
        self.given = self._answer()
        return super().fetch(ask)

    def prepare(self) -> None:
        """Time has passed: some came, some left, and today something may be wrong."""
        if self.chance.random() < CHANGE:
            self._move()
        if self.good and self.chance.random() < EXODUS:
            self._leave(self.roster.students()[:7])
        self.fault = None
        if self.good and self.chance.random() < FAULT:
            self.fault = self.chance.choice(["unreachable", "sign-in", "cut", "empty", "half"])
        self.sent = self.roster

    def faulty(self) -> Bundle:
        """What is sent in place of the roster, where that is a bundle."""
        assert self.sent is not None
        if self.fault == "empty":
            return self.sent.with_rows("users", ()).with_rows("enrollments", ())
        if self.fault == "half":
            there = [row["sourcedId"] for row in self.sent.tables["users"] if row["orgSourcedIds"] == "s-2"]
            return self.sent.without_users(there)
        return self.sent

    def end(self, fetch: Fetch) -> None:
        self.log.append(fetch)
        if fetch.fault is None and fetch.outcome in (SyncOutcome.APPLIED, SyncOutcome.UNCHANGED, SyncOutcome.HELD):
            assert self.sent is not None
            self.good = frozenset(self.sent.ids("users"))

    def _answer(self) -> bytes | Exception:
        if self.fault == "unreachable":
            return Refusal([build_error("host-unreachable", "no connection")])
        if self.fault == "sign-in":
            return Refusal([build_error("sign-in-refused", "the server does not accept the password")])
        made = self.faulty()
        kind = (self.version, self.fault if self.fault in ("empty", "half") else None)
        if kind not in self.bytes:
            self.bytes = {kind: packed(made)}
        content = self.bytes[kind]
        return content[: len(content) // 2] if self.fault == "cut" else content

    def _move(self) -> None:
        kind = self.chance.random()
        students = self.roster.students()
        if kind < 0.4 and len(students) > 8:
            self._leave([self.chance.choice(students)])
        elif kind < 0.5 and self.gone - set(self.roster.ids("users")):
            self._join(self.chance.choice(sorted(self.gone - set(self.roster.ids("users")))))
        else:
            self._join(f"u-{self.chance.randrange(5000, 9999)}")

    def _leave(self, people: Iterable[str]) -> None:
        leaving = set(people)
        self.version += 1
        self.gone |= leaving
        self.roster = self.roster.without_users(leaving)

    def _join(self, person: str) -> None:
        self.version += 1
        number = 100_000 + int(person.removeprefix("u-"))
        self.roster = self.roster.with_user(
            person, identifier=f"{number}", orgSourcedIds=self.chance.choice(["s-1", "s-2"])
        )


@dataclass
class LiveDistrict(District):
    """Its roster is asked for at a OneRoster server."""

    through: bool = True
    server: RosterServer | None = None

    def fetch(self, ask: FetchRequest) -> SourceBundle:
        self.prepare()
        if self.fault in ("unreachable", "sign-in", "cut"):
            self.fault = "half"
        assert self.server is not None
        assert self.real is not None
        self.server.now(bundle=self.faulty())
        return self.real.fetch(ask)

    @staticmethod
    def of(district: District, server: RosterServer) -> LiveDistrict:
        known = {each.name: getattr(district, each.name) for each in fields(District)}
        return LiveDistrict(**{**known, "type": "api", "through": True, "server": server})


def districts(number: int, seed: int, first: Iterable[Period]) -> list[District]:
    """Every fourth daily, the rest weekly or monthly, in all zones. first: periods of the first ones."""
    chance = random.Random(seed)
    firsts = list(first)
    usual = [Period.DAILY, Period.WEEKLY, Period.WEEKLY, Period.MONTHLY]
    made = []
    for place in range(number):
        period = firsts[place] if place < len(firsts) else chance.choice(usual)
        at = chance.choice([None, "02:30", "01:15", f"{chance.randrange(24):02}:{chance.randrange(60):02}"])
        name = f"district-{place:03}"
        zone = ZONES[place % len(ZONES)]
        made.append(
            District(
                name=name,
                host=f"{name}.example.org",
                schedule=Schedule(period, zone, at),
                roster=bundle(users=18, classes=2, seed=seed + place).with_district(name),
                chance=random.Random(seed * 1000 + place),
            )
        )
    return made


@dataclass
class Play:
    """ticks: moments of every run."""

    project: Project
    districts: list[District]
    ticks: list[datetime] = field(default_factory=list)
    approved: int = 0

    def set_up(self, sources: Sources) -> None:
        """Everybody is applied without a roster; districts with a server of their own are fetched from it."""
        for each in self.districts:
            schedule = each.schedule
            at = f', at: "{schedule.at}"' if schedule.at else ""
            auto = f", frequency: auto, period: {schedule.period}{at}"
            if isinstance(each, LiveDistrict):
                rostering = API.format(url=each.server.url, key=CONSUMER_KEY, auto=auto)
            else:
                rostering = SFTP.format(host=each.host, auto=auto)
            rostering = rostering.replace("d-1", each.name)
            sources[each.name] = each
            self.project.customer(each.name, org=None, more=f"{rostering}timezone: {schedule.timezone}\n")
        done = self.project.apply("--roster", "none")
        assert done.code == 0, done.err
        store = open_applied_workspace(Location(self.project.folder / "customers", store=self.project.store_url)).store
        for each in self.districts:
            whose = f"{store.uuid}/{each.name}"
            each.schedule = Schedule(each.schedule.period, each.schedule.timezone, each.schedule.at, whose)

    def run(self, begin: datetime, days: int, *, every: timedelta, down: Iterable[int] = ()) -> None:
        """every: from run to run. down: days on which nobody runs anything."""
        workspace = open_applied_workspace(Location(self.project.folder / "customers", store=self.project.store_url))
        by_name = {each.name: each for each in self.districts}
        held_since: dict[str, datetime] = {}
        for number in range(days * int(timedelta(days=1) / every)):
            tick = begin + number * every
            if (tick - begin).days in down:
                continue
            self.ticks.append(tick)
            with clock.freeze_time(tick):
                for result in sync_customers(workspace, SyncRequest(due_only=True)):
                    one, came = by_name[result.id], result.result
                    assert came is not None
                    codes = frozenset(each.code for each in result.diagnostics)
                    one.end(Fetch(tick, one.fault, one.version, came.outcome, came.ended_early, codes))
                    if came.hold is None or one.fault is not None:
                        held_since.pop(result.id, None)
                    else:
                        held_since.setdefault(result.id, tick)
                        if tick - held_since[result.id] >= timedelta(days=2):
                            done = self.project.run("apply", came.hold.id, "--approve", came.hold.id)
                            assert done.code == 0, done.err
                            self.approved += 1

    def check(self) -> None:
        """Everything that has to be true, whenever it is asked."""
        for each in self.districts:
            check_schedule(each, self.ticks)
            check_early(each)
        check_people(self.project, self.districts)
        verified = self.project.run("history", "--verify")
        assert verified.code == 0, verified.out + verified.err

    def seen(self) -> Counter[str]:
        """How often what happened."""
        found: Counter[str] = Counter()
        for each in self.districts:
            for fetch in each.log:
                found[fetch.outcome.value] += 1
                found["early"] += fetch.early
                if fetch.fault:
                    found[fetch.fault] += 1
        return found


def slots(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[datetime]:
    start = schedule.find_next_start(begin)
    while start <= end:
        yield start
        start = schedule.find_next_start(start)


def check_schedule(one: District, ticks: list[datetime]) -> None:
    """Each slot was fetched at by the first run after it, and by no other; between slots only what failed was tried
    again, and not too often."""
    fetched = Counter(fetch.tick for fetch in one.log)
    assert not [tick for tick, number in fetched.items() if number > 1], f"{one.name} twice in one run"
    due = {ticks[0]}
    for slot in slots(one.schedule, ticks[0], ticks[-1]):
        due.add(ticks[bisect_left(ticks, slot)])
    missed = sorted(due - set(fetched))
    assert not missed, f"{one.name} was not fetched when it was due: {missed[:3]}"
    tries = 0
    before: Fetch | None = None
    for fetch in one.log:
        if fetch.tick in due:
            tries = 0
        else:
            assert before is not None
            failed = before.outcome in (SyncOutcome.REFUSED, SyncOutcome.FAILED)
            assert failed, f"{one.name} was fetched at {fetch.tick} though nothing was due"
            assert "sign-in-refused" not in before.codes, f"{one.name} signed in again at {fetch.tick}"
        tries += 1
        assert tries <= MOST_TRIES, f"{one.name} was tried {tries} times until {fetch.tick}"
        before = fetch


def check_early(one: District) -> None:
    """What was the same as at the last clean sync was not compared again, but once in a while."""
    clean: int | None = None
    compared: datetime | None = None
    for fetch in one.log:
        same = fetch.fault is None and fetch.content == clean
        if same and compared is not None and fetch.tick - compared < OFTEN_COMPARED:
            assert fetch.early, f"{one.name} was compared again at {fetch.tick}"
        if fetch.early:
            assert same, f"{one.name} ended early at {fetch.tick} though something was new"
            continue
        if fetch.outcome in (SyncOutcome.APPLIED, SyncOutcome.UNCHANGED):
            clean, compared = fetch.content, fetch.tick
        elif fetch.outcome is SyncOutcome.HELD:
            clean = None


def check_people(project: Project, all_: Iterable[District]) -> None:
    """Nobody is lost who was in the last good roster, nobody is there twice, and only who left is gone."""
    alive: dict[str, list[str]] = defaultdict(list)
    dead: dict[str, set[str]] = defaultdict(set)
    rows = project.ask(
        "select c.slug, i.subject, a.tombstoned_at is not null from accounts a join customers c on c.id = a.customer_id"
        " join identities i on i.account_id = a.id join issuers x on x.id = i.issuer_id and x.kind = 'roster'"
        " where a.managed_by = 'roster'"
    )
    for slug, person, is_dead in rows:
        dead[slug].add(person) if is_dead else alive[slug].append(person)
    held = {slug for (slug,) in project.ask("select c.slug from holds h join customers c on c.id = h.customer_id")}
    for each in all_:
        there = alive[each.name]
        assert len(there) == len(set(there)), f"{each.name}: somebody is there twice"
        lost = each.good - set(there)
        assert not lost, f"{each.name} lost {len(lost)} who are in its last good roster"
        stranger = dead[each.name] - each.gone
        assert not stranger, f"{each.name}: {len(stranger)} were deleted who never left"
        if each.name not in held:
            assert set(there) == each.good, f"{each.name}: {len(set(there) - each.good)} stayed who left"


def begin_of(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
