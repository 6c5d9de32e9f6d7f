"""A store of every revision, with the rows of the program of that time, is upgraded without a loss."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from reconciler.cli.main import run
from reconciler.store.database import schema
from reconciler.store.open import Store, open_store
from tests.support.customers.project import ENVIRONMENT, KEY, LIVE, Project
from tests.support.stores import old_stores

REVISIONS = old_stores.list_recorded_revisions(schema.DURABLE)


@pytest.fixture
def database(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> str:
    """The URL of a second, empty database beside `store_url`, which has a new store."""
    if store_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'old.db'}"
    return str(request.getfixturevalue("empty_postgresql"))


@pytest.fixture
def old(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """The customers of an old store; the store itself is not there yet."""
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    for name, value in old_stores.SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, database, capsys)
    old_stores.write_documents(project)
    return project


def list_trigger_definitions(store: Store) -> list[tuple[str, ...]]:
    asked = {
        "sqlite": "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
        "postgresql": "SELECT t.tgname::text, pg_get_triggerdef(t.oid), p.prosrc FROM pg_trigger t"
        " JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal ORDER BY t.tgname",
    }
    with store.open_connection() as connection:
        return [tuple(map(str, row)) for row in connection.fetch_rows(asked[connection.dialect.name])]


@pytest.mark.parametrize("branch", schema.BRANCHES, ids=lambda branch: branch.name)
def test_rows_of_every_revision_are_recorded(branch: schema.MigrationBranch) -> None:
    # A store of the newest revision needs no upgrade: its rows are recorded before the next revision is added.
    assert set(branch.list_revisions()[:-1]) <= set(old_stores.list_recorded_revisions(branch))


@pytest.mark.parametrize("revision", REVISIONS)
def test_181_a_store_of_every_revision_is_upgraded_whole(old: Project, store: Store, revision: str) -> None:
    old_stores.build_old_store(old.store_url, revision)
    assert run(["store", "upgrade", "--backup-made", "--store", old.store_url]) == 0
    assert run(["store", "status", "--store", old.store_url]) == 0
    verified = old.run("history", "--verify")
    assert verified.code == 0, verified.err
    upgraded = open_store(old.store_url, ENVIRONMENT, key=KEY, make=False)
    assert list_trigger_definitions(upgraded) == list_trigger_definitions(store)
    assert_everything_is_kept(old, upgraded, revision)

    roster = old_stores.build_second_day().zip(old.folder / "day-2.zip")
    plan = old.plan("springfield", "--zip", roster)
    # YAML keys that the program of that time did not know get their defaults, and nothing else changes.
    found = [(each["kind"], each["action"]) for each in plan.json["customers"][0]["changes"]]
    assert found in ([], [("customer", "update")])
    assert {field["before"] for each in plan.json["customers"][0]["changes"] for field in each["fields"]} <= {None}
    assert old.apply("springfield", "--zip", roster).code == 0
    assert old.plan("springfield", "--zip", roster).code == 0
    assert old.plan("--roster", "none").code == 0


def assert_everything_is_kept(old: Project, store: Store, revision: str) -> None:
    people = {key for kind, key in old.ask(LIVE) if kind == "user"}
    known = set(old_stores.DAY_ONE.ids("users")) - {old_stores.REMOVED}
    is_erased = bool(old.ask("SELECT count(*) FROM erased")[0][0])
    assert is_erased == (revision >= "0002")
    assert people == (known - {old_stores.ERASED} if is_erased else known)
    held = old.run("holds", "--format", "json").json["holds"]
    assert [(each["customer"], each["people"]) for each in held] == [("springfield", 7)]
    # The seat of one person, a run before, and a person who left.
    explained = old.run("explain", "springfield", old_stores.REMOVED, "--people", "full")
    assert explained.code == 0
    assert "run 3" in explained.out
    assert old.ask("SELECT consumer_key FROM lti_platforms WHERE reserved_until IS NULL") == [("springfield-canvas",)]
    path = "lti.platforms.canvas.shared_secret"
    ((sealed,),) = old.ask(f"SELECT ciphertext FROM secrets WHERE path = '{path}'")
    value = old_stores.SECRETS["RECONCILER_SECRET__SPRINGFIELD__CANVAS"]
    assert store.key.decrypt(bytes(sealed), f"springfield/{path}") == value
    with store.open_reader() as reader:
        account = old.ask("SELECT account_id FROM identities WHERE subject = 'lms-5'")[0][0]
        signed_in = reader.read_last_sign_ins(pl.Series([account]))
    assert signed_in["at"].to_list() == ["2026-11-21T08:00:00Z"]
    # A run of that time can be undone.
    undone = old.run("undo", "3", "--yes")
    assert undone.code == 0, undone.err
    assert old_stores.REMOVED in {key for kind, key in old.ask(LIVE) if kind == "user"}
    assert old.run("undo", "4", "--yes").code == 0
