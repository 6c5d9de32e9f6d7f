"""What fails under a request: a calm page for people, and nobody's name in the log."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from reconciler.model.moment import add_span
from reconciler.service import expiry
from reconciler.service.app import build_app
from reconciler.service.site import Site
from reconciler.store.address import PostgresqlAddress, SqliteAddress
from reconciler.store.key import StoreKey
from reconciler.store.service import (
    ConfigurationCache,
    DatabaseGoneError,
    RowsBusyError,
    open_request_database,
    postgresql,
    visits,
)
from reconciler.store.service.statement import build_statement
from tests.service.conftest import connect
from tests.service.test_launch import ask, change
from tests.support.customers.project import ENVIRONMENT, Project
from tests.support.launches.school import PUBLIC_URL, Lms

ONE = build_statement("SELECT 1")
VOLATILE = ("nonces", "one_use_tokens", "sessions")


@pytest.mark.parametrize(
    ("problem", "status", "words"),
    [
        (ValueError("Zoë Ńowak"), 500, "Something went wrong"),
        (RowsBusyError(), 503, "One moment, please"),
        (DatabaseGoneError("SQLITE_IOERR"), 503, "We cannot look anything up"),
    ],
)
def test_a_failure_shows_a_calm_page(
    school: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    problem: Exception,
    status: int,
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise problem

    browser = connect(school).browser
    for name in ("find_session", "redeem_token"):
        monkeypatch.setattr(visits, name, fail)
    for path in ("/library", "/arrive/x"):
        answer = browser.get(path, headers={"Cookie": "__Host-tab=x"})
        assert answer.status_code == status
        assert words in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "Zoë" not in caplog.text + answer.text
    assert status == 503 or "unexpected ValueError at test_failures.py:" in caplog.text


def test_a_busy_store_shows_its_page_in_the_frame_of_the_lms(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RowsBusyError

    monkeypatch.setattr("reconciler.store.service.people.create_person", fail)
    answer = lms.launch()
    assert answer.status_code == 503
    assert "frame-ancestors https://lms.example" in answer.headers["content-security-policy"]


def test_a_missing_and_a_damaged_file_are_a_database_that_is_gone(tmp_path: Path) -> None:
    database = open_request_database(SqliteAddress(tmp_path / "store.db"))
    with pytest.raises(DatabaseGoneError):
        database.fetch(ONE, {})
    (tmp_path / "store-volatile.db").write_bytes(b"no database" * 1000)
    with pytest.raises(DatabaseGoneError), database.open_transaction(durable=False):
        pass


def test_a_server_that_does_not_answer_is_a_database_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_SECONDS", 0.2)
    database = open_request_database(PostgresqlAddress("postgresql://127.0.0.1:1/none"))
    with pytest.raises(DatabaseGoneError):
        database.fetch(ONE, {})
    database.close()


def test_threads_that_end_leave_no_connections(school: Site) -> None:
    ask(school, "SELECT 1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        thread = threading.Thread(target=ask, args=(school, "SELECT 1"))
        thread.start()
        thread.join()
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_writers_that_wait_leave_connections_to_readers(school: Site) -> None:
    done = threading.Event()

    def hold() -> None:
        with suppress(RowsBusyError), school.database.open_transaction():
            done.wait(20)

    threads = [threading.Thread(target=hold) for _ in range(postgresql.MAX_CONNECTIONS + 4)]
    for each in threads:
        each.start()
    time.sleep(0.5)
    begun = time.monotonic()
    try:
        assert ask(school, "SELECT 1") == [(1,)]
        assert time.monotonic() - begun < 1
    finally:
        done.set()
        for each in threads:
            each.join()


def test_what_has_expired_is_forgotten(school: Site, lms: Lms) -> None:
    lms.arrive()
    lms.launch()
    assert visits.forget_expired(school.database, school.get_moment()) == 0
    visits.forget_expired(school.database, add_span(school.get_moment(), timedelta(days=1)))
    assert [ask(school, f"SELECT count(*) FROM {table}") for table in VOLATILE] == [[(0,)]] * 3


def test_the_running_application_forgets_by_itself(school: Site, lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    lms.arrive()
    rounds = []
    done = threading.Event()

    def forget(*facts: Any) -> None:
        rounds.append(facts)
        if len(rounds) == 3:
            done.set()
        raise (RowsBusyError if len(rounds) == 1 else ValueError)

    monkeypatch.setattr(visits, "forget_expired", forget)
    monkeypatch.setattr(expiry, "INTERVAL", 0.01)
    with TestClient(build_app(school), base_url=PUBLIC_URL) as browser:
        assert done.wait(20)
        assert browser.get("/healthz").status_code == 200


def test_a_change_of_the_shared_catalog_counts_at_the_next_request(school: Site) -> None:
    number = ask(school, "SELECT id FROM customers")[0][0]
    for title in ("Maps", "Charts"):
        change(school, "DELETE FROM lessons WHERE customer_id IS NULL")
        change(school, f"INSERT INTO lessons (slug, title, document) VALUES ('maps', '{title}', '{{}}')")
        customer = school.configurations.find_customer(number)
        assert customer is not None
        assert customer.lessons["maps"].title == title


def test_a_replaced_key_ends_no_session_and_blames_no_school(
    school: Site, lms: Lms, caplog: pytest.LogCaptureFixture
) -> None:
    lms.arrive()
    new = StoreKey(b"n" * 32)
    without = replace(school, configurations=ConfigurationCache(school.database, new), key=new)
    browser = TestClient(build_app(without), base_url=PUBLIC_URL, follow_redirects=False, cookies=lms.browser.cookies)
    assert browser.get("/library").status_code == 200
    refused = Lms(browser).launch()
    assert (refused.status_code, "One moment" in refused.text) == (503, True)
    assert "restart serve with the store's present key" in caplog.text
    both = StoreKey(new.secret, (school.key,))
    site = replace(school, configurations=ConfigurationCache(school.database, both), key=both)
    assert connect(site).launch().status_code == 303


def test_a_public_url_has_a_scheme_and_a_host(project: Project) -> None:
    for url in ("read.example", "javascript:alert(1)", "https://read.example/?a=b"):
        result = project.run("serve", "--env", ENVIRONMENT, "--public-url", url)
        assert result.code == 64
        assert "must be a complete URL" in result.err
