"""The same roster by ZIP, SFTP and API, in both versions and with every authorization, gives the same plan."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.config.models.settings import DEFAULT_STORE
from tests.support.customers.project import ENVIRONMENT, Project
from tests.support.roster_server.authority import SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Switches
from tests.support.rosters.bundles import Bundle
from tests.support.schools.by_api import DAY_ONE, DAY_TWO, VARIABLE, api_customer
from tests.support.stores.postgresql import emptied

pytestmark = pytest.mark.slow

Serving = Callable[..., RosterServer]
#: Gives the program this roster, and the arguments that it wants to hear besides.
Give = Callable[[Bundle], list[str]]

STUDENTS = DAY_ONE.students()
#: Somebody came, left, moved to another class, got another address; a class is called otherwise.
LATER = (
    DAY_TWO.without_users([STUDENTS[3]])
    .with_row("users", STUDENTS[4], email="other@example.com", givenName="Zoë", middleName='"Z", of the Öræfi')
    .with_row("users", STUDENTS[5], enabledUser="false", grades="05,06")
    .with_row("users", STUDENTS[6], orgSourcedIds="s-1,s-2")
    .with_row("classes", "c-02", title="Class 2, advanced")
    .with_row("enrollments", "e-00007", classSourcedId="c-03", primary="true")
)


def by_zip(project: Project, version: str) -> Give:
    project.write("reconciler.yaml", f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{DEFAULT_STORE}"}}}}\n')
    path = project.customer()
    path.write_text(path.read_text(encoding="utf-8").replace("oneroster\n", f'oneroster\n  version: "{version}"\n'))
    return lambda made: [
        "--zip",
        str((made if version == "1.1" else made.version12()).zip(project.folder / "roster.zip")),
    ]


def by_api(project: Project, server: RosterServer, more: str = "", page_size: int = 30) -> Give:
    api_customer(project, server, more=more, page_size=page_size)

    def give(made: Bundle) -> list[str]:
        server.now(bundle=made, switches=server.switches)
        return []

    return give


def by_sftp(project: Project, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, *, folder: bool) -> Give:
    monkeypatch.setattr("reconciler.oneroster.sources.sftp.source.CHECK_INTERVAL", 0.0)
    home = request.getfixturevalue("sftp_home")
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__SFTP", home.server.password)
    by_zip(project, "1.1")
    account = home.account("" if folder else "roster.zip")
    settings = project.folder / "reconciler.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + 'network: {allow: ["127.0.0.1"]}\n', encoding="utf-8")
    path = project.folder / "customers" / "springfield" / "customer.yaml"
    sync = (
        f"{{type: sftp, host: {account.host}, port: {account.port}, username: {account.username}, path: {account.path},"
        f' host_key: "{account.host_key}", password: {{secret: sftp}}}}'
    )
    path.write_text(path.read_text(encoding="utf-8").replace("{type: zip}", sync), encoding="utf-8")

    def give(made: Bundle) -> list[str]:
        if folder:
            for name, content in made.files().items():
                home.put(name, content)
        else:
            home.put("roster.zip", made.zip(project.folder / "roster.zip").read_bytes())
        return []

    return give


#: What the second day's plan does, and its id.
Planned = tuple[list[Mapping[str, Any]], str]


def second_day(project: Project, give: Give) -> Planned:
    """The first day is applied, the second planned."""
    first = project.apply("springfield", *give(DAY_ONE))
    assert first.code == 0, first.err + first.out
    plan = project.plan("springfield", *give(LATER))
    assert plan.code == 2, plan.out
    customer = plan.json["customers"][0]
    assert customer["source"]["complete"]
    return customer["changes"], plan.json["plan_id"]


#: By kind of database, in this process: stores of two processes are never the same.
_from_zip: dict[str, Planned] = {}


@pytest.fixture
def from_zip(school: Project, request: pytest.FixtureRequest) -> Planned:
    """What the plan is where the roster is a ZIP of 1.1. The store is as fresh as before."""
    kind = school.store_url.partition(":")[0]
    if kind not in _from_zip:
        _from_zip[kind] = second_day(school, by_zip(school, "1.1"))
        if kind == "sqlite":
            for path in school.folder.glob("store.db*"):
                path.unlink()
            for path in request.getfixturevalue("sqlite_template").iterdir():
                shutil.copy(path, school.folder / path.name)
        else:
            emptied(school.store_url)
    return _from_zip[kind]


@pytest.fixture
def school(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    monkeypatch.setenv("RECONCILER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, SECRET)
    return project


#: All that a server may do otherwise and be understood.
ODD = Switches(
    clamp=7,
    total="x-count",
    link="relative",
    order="unless-sorted",
    booleans="json",
    empties="null",
    href="relative",
    gzip=True,
    code_minor="text",
)


def test_the_second_day_has_something_of_everything(from_zip: Planned) -> None:
    assert {(each["action"], each["kind"]) for each in from_zip[0]} >= {
        ("delete", "user"),
        ("create", "user"),
        ("update", "user"),
        ("suspend", "user"),
        ("update", "class"),
        ("delete", "enrollment"),
        ("create", "enrollment"),
    }


@pytest.mark.parametrize(
    "source",
    [
        "zip 1.2",
        "api 1.1 oauth1",
        "api 1.2 oauth2",
        "sftp zip",
        *(
            pytest.param(source, marks=pytest.mark.slow)
            for source in (
                "api 1.1 oauth1 hmac-sha256",
                "api 1.1 oauth1 odd",
                "api 1.1 oauth2",
                "api 1.2 oauth2 odd",
                "sftp folder",
            )
        ),
    ],
)
def test_the_same_roster_is_the_same_plan(
    school: Project,
    from_zip: Planned,
    serving: Serving,
    source: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, *how = source.split()
    if kind == "zip":
        give = by_zip(school, how[0])
    elif kind == "sftp":
        give = by_sftp(school, request, monkeypatch, folder=how[0] == "folder")
    else:
        server = serving(
            DAY_ONE,
            version=how[0],
            authorization=how[1],
            prefix="/campus/api",
            token_query="appName=reader",
            switches=ODD if "odd" in how else None,
        )
        give = by_api(school, server, "signature: hmac-sha256, " if "hmac-sha256" in how else "")
    assert second_day(school, give) == from_zip
