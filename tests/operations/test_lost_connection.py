"""A lost connection or a read-only server leaves nothing half done, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.tables import durable
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import bundle
from tests.support.stores.postgresql import DATABASE, administer

pytestmark = pytest.mark.slow

DISTRICT = bundle(users=40)
DAY_ONE = DISTRICT.without_users(DISTRICT.ids("users")[20:])


@pytest.fixture
def reviewed(project: Project) -> Path:
    """A saved plan by which twenty people join."""
    project.customer()
    assert project.apply("springfield", "--zip", DAY_ONE.zip(project.folder / "one.zip")).code == 0
    saved = project.folder / "monday.plan"
    planned = project.plan("springfield", "--zip", DISTRICT.zip(project.folder / "two.zip"), "--out", saved)
    assert planned.code == 2, planned.err
    return saved


def content(project: Project) -> dict[str, list[str]]:
    names = [table.name for table in durable.sorted_tables]
    return {name: sorted(map(repr, project.ask(f"select * from {name}"))) for name in names}


def at_statement(
    monkeypatch: pytest.MonkeyPatch, matching: Callable[[str], bool], do: Callable[[Connection], None]
) -> None:
    """Does something just before a transaction sends the first statement of such a text."""
    send = Connection.execute
    done = False

    def sent(connection: Connection, statement: Any, *rest: Any) -> int:
        nonlocal done
        if not done and matching(str(statement)):
            done = True
            do(connection)
        return send(connection, statement, *rest)

    monkeypatch.setattr(Connection, "execute", sent)


def refused(result: Result, code: str) -> None:
    assert result.code == 1, result
    *_, first, hint = result.err.splitlines()
    assert first.startswith("error: ")
    assert first.endswith(f"[{code}]")
    assert hint.startswith("    ")
    assert "Traceback" not in result.err


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["DELETE FROM snapshots", "UPDATE customers", "INSERT INTO runs"])
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_connection_lost_in_mid_apply_leaves_nothing(
    project: Project, reviewed: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    before = content(project)
    with monkeypatch.context() as patch:
        at_statement(patch, lambda text: text.startswith(statement), lambda connection: end(project, connection))
        applied = project.apply(reviewed)
    refused(applied, "store-gone")
    assert "nothing was changed" in applied.out
    assert content(project) == before
    assert project.apply(reviewed).code == 0


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_connection_lost_before_commit_claims_nothing(
    project: Project, reviewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(project)
    with monkeypatch.context() as patch:
        at_statement(patch, lambda text: text == "COMMIT", lambda connection: end(project, connection))
        applied = project.apply(reviewed)
    refused(applied, "answer-lost")
    assert "nothing was changed" not in applied.out, "nobody knows"
    assert content(project) == before
    assert project.apply(reviewed).code == 0


def test_commit_without_an_answer_is_verified_not_repeated(
    project: Project, reviewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(connection: Connection) -> None:
        connection.fetch_rows("COMMIT")
        raise StoreProblem("store-gone", "the server ended the connection", "Do it again.")

    runs = project.ask("select max(id) from runs")[0][0]
    with monkeypatch.context() as patch:
        at_statement(patch, lambda text: text == "COMMIT", lose)
        applied = project.apply(reviewed)
    assert applied.code == 0, applied
    assert f"springfield: applied (run {runs + 1})" in applied.out
    assert "warning: " in applied.err
    assert "[answer-lost]" in applied.err
    after = content(project)
    again = project.apply(reviewed)
    assert (again.code, content(project)) == (0, after)


def test_applied_plan_does_nothing_again_and_says_so(project: Project, reviewed: Path) -> None:
    assert project.apply(reviewed).code == 0
    after = content(project)
    again = project.apply(reviewed)
    assert again.code == 0
    assert "springfield: nothing to change" in again.out
    (run,) = project.ask("select max(id) from runs")[0]
    assert f"info: springfield: this plan was already applied by run {run}; nothing was changed" in again.err
    assert content(project) == after


def test_applied_plan_is_stale_for_releasing_its_holds(project: Project) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", DISTRICT.zip(project.folder / "one.zip")).code == 0
    saved = project.folder / "monday.plan"
    planned = project.plan("springfield", "--zip", DAY_ONE.zip(project.folder / "two.zip"), "--out", saved)
    hold = planned.json["customers"][0]["hold"]["id"]
    assert project.apply(saved).code == 3
    later = project.apply(saved, "--approve", hold)
    assert "already-applied" not in later.err
    assert later.code in (0, 4)


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_unwritable_database_is_reported_as_read_only(
    project: Project, reviewed: Path, postgresql_server: str, read_only: None
) -> None:
    refused(project.apply(reviewed), "store-read-only")
    assert project.run("history").code == 0, "who only looks is not in the way"


@pytest.fixture
def read_only(reviewed: Path, postgresql_server: str) -> Iterator[None]:
    setting = sql.SQL("ALTER DATABASE {} {} default_transaction_read_only")
    name = sql.Identifier(DATABASE)
    administer(postgresql_server, sql.SQL("{} = on").format(setting.format(name, sql.SQL("SET"))))
    try:
        yield
    finally:
        administer(postgresql_server, setting.format(name, sql.SQL("RESET")))


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_empty_unwritable_database_is_reported_as_read_only(
    project: Project, empty_postgresql: str, postgresql_server: str
) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(empty_postgresql)["dbname"])
    setting = "ALTER DATABASE {} SET default_transaction_read_only = on"
    administer(postgresql_server, sql.SQL(setting).format(sql.Identifier(name)))
    project.customer()
    project.store_url = empty_postgresql
    refused(project.apply(), "store-read-only")
    assert "The store does not exist yet" in project.run("plan").out


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_absent_server_is_reported_as_unreachable(project: Project) -> None:
    project.customer()
    project.store_url = "postgresql://ann:hunter2@127.0.0.1:1/roster"
    found = project.run("plan")
    refused(found, "store-unreachable")
    assert "hunter2" not in found.err


def end(project: Project, connection: Connection) -> None:
    """As an administrator or a server's restart would."""
    number = connection.fetch_scalar("SELECT pg_backend_pid()")
    with psycopg.connect(project.store_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
