"""Plans that fetch rosters from a fake source; the real servers have their own tests."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.diagnostic import Refusal, Severity, build_error, build_warning
from reconciler.oneroster.sources.interface import FetchProgress, FetchRequest, ProbeFinding, SourceBundle
from reconciler.operations.fetch import fresh
from reconciler.operations.fetch import probe as looking
from reconciler.operations.plan import fetch_ahead
from reconciler.operations.plan import plan as planning
from reconciler.operations.plan.context import PlanContext
from tests.support.customers.project import Project, keys
from tests.support.rosters.bundles import Bundle, bundle

API = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {type: api, url: "https://sis.example.org/ims/oneroster/v1p1", authorization: oauth1, consumer_key: k,
         secret_key: {secret: oneroster}}
"""
DAY = bundle(users=30)


@dataclass
class Given:
    """A source that gives a bundle, or refuses. asked: every fetch. streams: what was handed out."""

    made: Bundle | Refusal
    folder: Path
    asked: list[FetchRequest] = field(default_factory=list)
    streams: list[io.BytesIO] = field(default_factory=list)
    host: str = "sis.example.org"

    def fetch(self, ask: FetchRequest) -> SourceBundle:
        self.asked.append(ask)
        ask.progress(FetchProgress("users", 30, 30, "rows", 1))
        if isinstance(self.made, Refusal):
            raise self.made
        # Several are asked at once.
        stream = io.BytesIO(self.made.zip(self.folder / f"given-{id(self)}.zip").read_bytes())
        self.streams.append(stream)
        noticed = (build_warning("page-clamp", "the server sends fewer rows than it is asked for"),)
        return SourceBundle(stream, "api", "sis.example.org/ims/oneroster/v1p1", ask.fetched_at, noticed)

    def probe(self, ask: FetchRequest) -> tuple[ProbeFinding, ...]:
        return (
            ProbeFinding("page-clamp", "500", "asked for 10,000 rows it sends 500"),
            ProbeFinding("total", "none", severity=Severity.WARNING),
        )


Sources = dict[str, Given]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    """By customer; a customer that has none here fails as it would."""
    found: Sources = {}
    real: Callable[..., Any] = fresh.create_source

    def source_of(workspace: Any, customer: Any, *rest: Any) -> Any:
        return found.get(customer.id) or real(workspace, customer, *rest)

    monkeypatch.setattr(fresh, "create_source", source_of)
    monkeypatch.setattr(looking, "create_source", source_of)
    return found


def codes(customer: Mapping[str, Any]) -> set[str]:
    return {each["code"] for each in customer["diagnostics"]}


def test_named_customer_is_fetched_planned_and_applied(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    source = sources["springfield"] = Given(DAY, project.folder)

    (customer,) = project.plan("springfield").json["customers"]
    assert customer["source"]["type"] == "api"
    assert customer["source"]["freshness"] == "fresh"
    assert customer["counts"]["user"]["create"] == 30
    assert "page-clamp" in codes(customer)
    assert all(stream.closed for stream in source.streams)

    assert project.apply("springfield").code == 1, "its secret is not set"


def test_same_roster_by_file_and_fetch_plans_alike(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    sources["springfield"] = Given(DAY, project.folder)
    fetched = project.plan("springfield")
    given = project.plan("springfield", "--zip", DAY.zip(project.folder / "day.zip"))
    assert fetched.json["plan_id"] == given.json["plan_id"]
    assert keys(fetched, "user", "create") == keys(given, "user", "create") != []


def test_failed_fetch_refuses_only_its_customer(project: Project, sources: Sources) -> None:
    for name in ("springfield", "shelbyville"):
        project.customer(name, org=None, more=API)
    sources["springfield"] = Given(Refusal([build_error("not-json", "it answers with a page")]), project.folder)
    sources["shelbyville"] = Given(DAY, project.folder)

    plan = project.plan("springfield", "shelbyville")
    shelbyville, springfield = plan.json["customers"]
    assert (springfield["outcome"], codes(springfield)) == ("refused", {"not-json"})
    assert shelbyville["counts"]["user"]["create"] == 30
    assert plan.code == 3


def test_who_interrupts_a_plan_waits_for_no_server(
    project: Project, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.customer(org=None, more=API)
    project.customer("shelbyville", org=None, more=API)
    answering = threading.Event()

    @dataclass
    class Silent(Given):
        def fetch(self, ask: FetchRequest) -> SourceBundle:
            answering.wait(60)
            return super().fetch(ask)

    silent = sources["springfield"] = Silent(DAY, project.folder)
    sources["shelbyville"] = Given(DAY, project.folder)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "read_bundle", interrupted)
    assert project.plan("shelbyville", "springfield").code == 130
    assert silent.streams == []
    # what comes too late is given up
    answering.set()
    for thread in [each for each in threading.enumerate() if each.name == "fetch"]:
        thread.join(30)
    assert [stream.closed for stream in silent.streams] == [True]


def test_a_defect_of_a_source_is_its_customers_alone(project: Project, sources: Sources) -> None:
    for name in ("springfield", "shelbyville"):
        project.customer(name, org=None, more=API)

    @dataclass
    class Broken(Given):
        def fetch(self, ask: FetchRequest) -> SourceBundle:
            raise ZeroDivisionError

    sources["springfield"] = Broken(DAY, project.folder)
    sources["shelbyville"] = Given(DAY, project.folder)
    shelbyville, springfield = project.plan("springfield", "shelbyville").json["customers"]
    assert (shelbyville["outcome"], springfield["outcome"]) == ("changes", "failed")


def test_nothing_is_fetched_unless_a_fresh_roster_is_requested(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    source = sources["springfield"] = Given(DAY, project.folder)
    for words in ([], ["springfield", "--roster", "last"], ["springfield", "--roster", "none"]):
        project.plan(*words)
    assert source.asked == []


def test_nothing_is_fetched_of_a_deactivated_customer(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API + "status: deactivated\n")
    source = sources["springfield"] = Given(DAY, project.folder)
    (customer,) = project.plan("springfield").json["customers"]
    assert source.asked == []
    assert "roster-not-fetched" in codes(customer)


def test_source_receives_facts_of_the_last_roster(
    project: Project, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__ONEROSTER", "s")
    project.customer(org=None, more=API)
    source = sources["springfield"] = Given(DAY, project.folder)
    assert project.apply("springfield").code == 0
    assert project.plan("springfield").code == 0

    first, second = source.asked
    assert (first.require_full, first.earlier.whole_at, first.earlier.rows) == (True, None, {})
    assert second.earlier.whole_at == first.fetched_at
    assert second.earlier.rows["users"] == 30
    assert not second.require_full


def test_roster_goes_into_a_private_file_with_lines_counted(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    sources["springfield"] = Given(DAY, project.folder)
    out = project.folder / "out.zip"
    fetched = project.run("roster", "fetch", "springfield", "--store", project.store_url, "--out", out)
    assert fetched.code == 0
    assert "users 30" in fetched.out
    assert "page-clamp" in fetched.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_bytes() == DAY.zip(project.folder / "day.zip").read_bytes()


def test_where_no_folder_is_nothing_is_fetched(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    sources["springfield"] = Given(DAY, project.folder)
    out = project.folder / "missing" / "out.zip"
    fetched = project.run("roster", "fetch", "springfield", "--store", project.store_url, "--out", out)
    assert fetched.code == 1
    assert "is not a folder; nothing was fetched [no-folder]" in fetched.err
    assert not sources["springfield"].asked


def test_unusable_file_is_saved_and_reported(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    sources["springfield"] = Given(DAY.without_file("users.csv").without_manifest(), project.folder)
    out = project.folder / "out.zip"
    fetched = project.run("roster", "fetch", "springfield", "--store", project.store_url, "--out", out)
    assert fetched.code == 1
    assert "cannot be used" in fetched.out
    assert "missing-file" in fetched.err
    assert out.is_file()


@pytest.mark.parametrize(("name", "code"), [("springfield", "nothing-to-fetch"), ("nobody", "unknown-customer")])
def test_who_has_nothing_to_fetch_is_told_so(project: Project, name: str, code: str) -> None:
    project.customer()
    for verb in (["fetch", name, "--out", "x.zip"], ["probe", name]):
        said = project.run("roster", *verb, "--store", project.store_url)
        assert said.code in (1, 64)
        assert code in said.err
    assert not (project.folder / "x.zip").exists()


def test_a_probe_says_what_the_server_does(project: Project, sources: Sources) -> None:
    project.customer(org=None, more=API)
    sources["springfield"] = Given(DAY, project.folder)
    said = project.run("roster", "probe", "springfield", "--store", project.store_url)
    assert said.code == 0
    assert said.out == ("page-clamp  500\n            asked for 10,000 rows it sends 500\ntotal       warning: none\n")
    found = project.run("roster", "probe", "springfield", "--store", project.store_url, "--format", "json").json
    assert [each["name"] for each in found["findings"]] == ["page-clamp", "total"]


def test_fetching_ahead_stays_within_the_open_limit(
    project: Project, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many customers are planned: every fetched roster is an open file."""
    monkeypatch.setattr(fetch_ahead, "WINDOW", 2)
    names = [f"school-{number}" for number in range(6)]
    for name in names:
        project.customer(name, org=None, more=API.replace("d-1", name).replace("key: k,", f"key: {name},"))
        sources[name] = Given(DAY.with_district(name), project.folder)
    seen: list[tuple[int, int]] = []
    plan_one = planning._plan_customer

    def planned(context: PlanContext, customer: str) -> Any:
        place, fetched = len(seen), context.fresh
        seen.append((sum(name in fetched for name in names[place:]), sum(name in fetched for name in names[:place])))
        if place == 2:
            raise ZeroDivisionError
        return plan_one(context, customer)

    monkeypatch.setattr(planning, "_plan_customer", planned)
    made = project.plan(*names).json["customers"]
    assert seen == [(2, 0)] * 5 + [(1, 0)]
    assert [each["outcome"] for each in made] == ["changes"] * 2 + ["failed"] + ["changes"] * 3
    assert [len(sources[name].asked) for name in names] == [1] * 6
    assert all(stream.closed for name in names for stream in sources[name].streams)
