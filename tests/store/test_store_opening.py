"""Test that a store is created on first use, recognized later, and refused if it is not the expected one."""

from __future__ import annotations

import base64
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.store.database import schema
from reconciler.store.errors import StoreProblem
from reconciler.store.open import assign_environment, list_store_revisions, open_store, upgrade_store
from tests.support.customers.project import ENVIRONMENT, KEY
from tests.support.stores import raw_sql


def refusal(url: str, environment: str = ENVIRONMENT, key: bytes | None = KEY) -> StoreProblem:
    with pytest.raises(StoreProblem) as raised:
        open_store(url, environment, key=key)
    return raised.value


def test_a_store_keeps_its_identity(store_url: str) -> None:
    first = open_store(store_url, ENVIRONMENT, key=KEY)
    again = open_store(store_url, ENVIRONMENT, key=KEY)
    assert first.identity == again.identity
    assert first.identity.environment == ENVIRONMENT


@pytest.mark.postgres
@pytest.mark.slow
def test_empty_postgresql_database_is_set_up_on_first_use(
    empty_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(empty_postgresql, ENVIRONMENT)
    assert open_store(empty_postgresql, ENVIRONMENT) == store
    key = tmp_path / ".reconciler" / f"{store.uuid}.key"
    assert oct(key.stat().st_mode & 0o777) == "0o600"


def test_the_files_of_a_sqlite_store_are_private(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'new' / 'store.db'}", ENVIRONMENT)
    files = sorted(path for path in (tmp_path / "new").iterdir())
    assert [path.name for path in files if path.suffix in (".db", ".key")] == [
        "store-volatile.db",
        "store.db",
        "store.key",
    ]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert oct((tmp_path / "new").stat().st_mode & 0o777) == "0o700"


def test_a_relative_url_is_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///here/a%20store.db", ENVIRONMENT)
    assert (tmp_path / "here" / "a%20store.db").exists()


def test_a_store_of_another_environment_is_refused(store_url: str) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    problem = refusal(store_url, "production")
    assert problem.diagnostic.code == "store-environment"
    assert ENVIRONMENT in str(problem)
    assert "production" in str(problem)


def test_a_store_under_another_key_is_refused(store_url: str) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    assert refusal(store_url, key=bytes(32)).diagnostic.code == "store-key"


def test_store_without_its_key_file_gets_no_new_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(url, ENVIRONMENT)
    (tmp_path / "store.key").unlink()
    assert refusal(url, key=None).diagnostic.code == "store-key"
    assert not (tmp_path / "store.key").exists()


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(url, ENVIRONMENT)
    (tmp_path / "store.key").chmod(0o640)
    problem = refusal(url, key=None)
    assert problem.diagnostic.code == "store-key-mode"
    assert "chmod 600" in str(problem)


@pytest.mark.parametrize("form", [KEY.hex(), base64.b64encode(KEY).decode()], ids=["hex", "base64"])
def test_the_key_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("RECONCILER_KEY", form)
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", ENVIRONMENT)
    assert store.key.secret == KEY
    assert not (tmp_path / "store.key").exists()


def test_invalid_key_is_refused_without_repeating_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_KEY", "hunter2")
    problem = refusal(f"sqlite:///{tmp_path / 'store.db'}", key=None)
    assert problem.diagnostic.code == "store-key"
    assert "hunter2" not in str(problem)


def test_store_of_a_newer_program_asks_for_an_update(store_url: str) -> None:
    store = open_store(store_url, ENVIRONMENT, key=KEY)
    raw_sql.run(store, "UPDATE schema_revision SET version_num = '9999'")
    problem = refusal(store_url)
    assert problem.diagnostic.code == "store-newer"
    with pytest.raises(StoreProblem, match="newer"):
        upgrade_store(store_url)


def test_an_older_store_names_the_command_that_helps(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    newer = schema.MigrationBranch("durable", "schema_revision", "9999")
    monkeypatch.setattr(schema, "DURABLE", newer)
    problem = refusal(store_url)
    assert problem.diagnostic.code == "store-older"
    assert "reconciler store upgrade" in str(problem)


def test_current_store_is_upgraded_without_a_change(store_url: str) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    migrations = upgrade_store(store_url)
    assert [(each.name, each.before, each.after) for each in migrations] == [*list_store_revisions(store_url)]
    assert not any(each.backup or each.restored_triggers for each in migrations)
    assert [name for name, _, _ in list_store_revisions(store_url)] == ["durable", "volatile"]
    assert all(before == head for _, before, head in list_store_revisions(store_url))


def test_asking_for_the_status_of_no_store_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match="does not exist"):
        list_store_revisions(f"sqlite:///{tmp_path / 'store.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_lost_volatile_file_is_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url, ENVIRONMENT, key=KEY)
    store.address.volatile.unlink()  # type: ignore[union-attr]
    assert open_store(url, ENVIRONMENT, key=KEY) == store
    assert list_store_revisions(url)[1] == ("volatile", schema.VOLATILE.head, schema.VOLATILE.head)


def test_file_not_a_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("a letter to a friend " * 500)
    before = path.read_bytes()
    assert refusal(f"sqlite:///{path}").diagnostic.code == "not-a-store"
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE recipes (name TEXT)')"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert refusal(f"sqlite:///{path}").diagnostic.code == "not-a-store"


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    assert open_store(f"sqlite:///{tmp_path / 'store.db'}", ENVIRONMENT).environment == ENVIRONMENT


def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(f"sqlite:///{tmp_path / 'file' / 'store.db'}").diagnostic.code == "store-unreadable"


@pytest.mark.parametrize("url", ["", "store.db", "mysql://host/db", "sqlite://", "sqlite:///", "postgresql://host"])
def test_unknown_url_is_refused_with_the_known_forms(url: str) -> None:
    problem = refusal(url)
    assert problem.diagnostic.code == "store-url"
    assert "sqlite:///" in (problem.diagnostic.hint or "")


def test_no_error_repeats_the_password_of_a_url() -> None:
    for url in ("postgresql://ann:hunter2@127.0.0.1:1/db", "postgresql://ann:hunter2@127.0.0.1:x/db"):
        problem = refusal(url)
        assert problem.diagnostic.code in ("store-unreachable", "store-url")
        assert "hunter2" not in str(problem)
        assert "hunter2" not in repr(problem)


@pytest.mark.postgres
@pytest.mark.slow
def test_a_database_that_does_not_exist_is_said_plainly(postgresql_server: str) -> None:
    problem = refusal(postgresql_server.format("nowhere"))
    assert problem.diagnostic.code == "store-unreachable"
    assert "nowhere does not exist" in str(problem)


def test_two_processes_creating_a_store_create_one(tmp_path: Path) -> None:
    script = "import sys; from reconciler.store.open import open_store; print(open_store(sys.argv[1], 'test').uuid)"
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path / 'store.db'}"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=30)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1


def test_opening_an_up_to_date_store_imports_no_alembic(store_url: str) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    script = (
        "import sys; from reconciler.store.open import open_store\n"
        f"open_store({store_url!r}, 'test', key=bytes(range(32)))\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'alembic', 'sqlite3', 'psycopg'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("rest", ["store.db?mode=ro", ":memory:", "file:store.db?mode=memory"])
def test_sqlite_url_with_options_creates_no_odd_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(f"sqlite:///{rest}").diagnostic.code == "store-url"
    assert list(tmp_path.iterdir()) == []


def test_who_only_looks_at_a_store_makes_none(tmp_path: Path) -> None:
    for name in ("nowhere/store.db", "store.db"):
        with pytest.raises(StoreProblem) as raised:
            open_store(f"sqlite:///{tmp_path / name}", ENVIRONMENT, key=KEY, make=False)
        assert raised.value.diagnostic.code == "no-store"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
@pytest.mark.slow
def test_reading_an_empty_database_leaves_it_empty(empty_postgresql: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreProblem, match="there is no store"):
            open_store(empty_postgresql, ENVIRONMENT, key=KEY, make=False)


def test_store_of_a_renamed_environment_can_be_relabeled(store_url: str) -> None:
    hint = refusal(store_url, "production").diagnostic.hint or ""
    assert "reconciler store assign --env production" in hint
    assert assign_environment(store_url, "production") == ENVIRONMENT
    assert open_store(store_url, "production", key=KEY).environment == "production"
    assert refusal(store_url).diagnostic.code == "store-environment"


def test_partly_written_key_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_secret: bytes) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(base64, "b64encode", full)
        assert refusal(f"sqlite:///{tmp_path / 'store.db'}", key=None).diagnostic.code == "store-key"
    assert not (tmp_path / "store.key").exists()
    assert open_store(f"sqlite:///{tmp_path / 'store.db'}", ENVIRONMENT).environment == ENVIRONMENT
