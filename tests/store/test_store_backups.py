"""A migration changes no SQLite file without a copy of it, and no PostgreSQL database without an answer."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.main import run
from reconciler.store.database import backup, schema
from reconciler.store.database.backup import back_up_file
from reconciler.store.errors import StoreProblem
from reconciler.store.open import list_store_revisions, open_store
from tests.support.customers.project import ENVIRONMENT, KEY
from tests.support.stores import old_stores

PEOPLE = "SELECT count(*) FROM accounts"
UPGRADE = "import sys; from reconciler.cli.main import run; sys.exit(run(['store', 'upgrade', '--store', sys.argv[1]]))"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a store that needs an upgrade."""
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "customers").mkdir()
    old_stores.build_old_store(f"sqlite:///{tmp_path / 'old.db'}", "0007")
    return tmp_path / "old.db"


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.backup"))


def ask(path: Path, statement: str) -> object:
    """In another process, because two SQLite libraries in one process drop each other's locks."""
    code = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])"
    done = subprocess.run([sys.executable, "-c", code, path, statement], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_183_an_upgrade_of_sqlite_copies_each_file_first(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = ask(old, PEOPLE)
    assert run(["store", "upgrade", "--store", f"sqlite:///{old}"]) == 0
    durable, volatile = copies(old.parent)
    assert re.fullmatch(r"old-0007-\d{8}T\d{6}Z\.backup", durable.name)
    assert re.fullmatch(r"old-volatile-0001-\d{8}T\d{6}Z\.backup", volatile.name)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (durable, volatile)} == {0o600}
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("backup: ")]
    assert [line.split()[1] for line in told] == [str(durable), str(volatile)]
    assert (ask(durable, "SELECT version_num FROM schema_revision"), ask(durable, PEOPLE)) == ("0007", people)
    # The copy is a store: put back, it is upgraded again.
    url = f"sqlite:///{old.with_name('again.db')}"
    durable.rename(old.with_name("again.db"))
    assert run(["store", "upgrade", "--store", url]) == 0
    assert open_store(url, ENVIRONMENT, key=KEY, make=False).uuid
    assert run(["store", "upgrade", "--store", url]) == 0
    assert len(copies(old.parent)) == 2


def test_183_a_copy_holds_what_the_log_holds_and_replaces_no_file(old: Path) -> None:
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode = WAL');"
        " c.execute('CREATE TABLE late (n)'); c.execute('INSERT INTO late VALUES (7)'); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, old], check=True)
    assert old.with_name("old.db-wal").stat().st_size > 0
    first, second = back_up_file(old, "0007"), back_up_file(old, "0007")
    assert first != second
    assert ask(first, "SELECT n FROM late") == ask(second, "SELECT n FROM late") == "7"


@pytest.mark.parametrize(
    "problem", [sqlite3.OperationalError("database or disk is full"), OSError(28, "No space left")]
)
def test_183_without_a_copy_there_is_no_migration(
    old: Path, problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_path: Path, partial: Path) -> None:
        partial.write_bytes(b"half of it")
        raise problem

    monkeypatch.setattr(backup, "_copy_database", fail)
    before = sorted(path.name for path in old.parent.iterdir())
    assert run(["store", "upgrade", "--store", f"sqlite:///{old}"]) == 1
    said = capsys.readouterr().err
    assert "[backup-failed]" in said
    assert "nothing was changed" in said
    assert sorted(path.name for path in old.parent.iterdir()) == before
    assert [revision for _, revision, _ in list_store_revisions(f"sqlite:///{old}")] == ["0007", "0001"]


def test_183_a_file_too_large_for_its_limit_is_no_migration(old: Path) -> None:
    # A limit on the size of files fails as a full disk does, in the middle of the copy.
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); {UPGRADE}"
    ignored = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limited}"
    done = subprocess.run(
        [sys.executable, "-c", ignored, f"sqlite:///{old}"], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 1
    assert "[backup-failed]" in done.stderr
    assert copies(old.parent) == []
    assert not list(old.parent.glob(".*.part*"))
    assert ask(old, "SELECT version_num FROM schema_revision") == "0007"


def test_183_a_failed_migration_leaves_the_store_and_its_copy(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreProblem("disk-full", "no space is left")

    monkeypatch.setattr(schema.guards, "restore_triggers", fail)
    assert run(["store", "upgrade", "--store", f"sqlite:///{old}"]) == 1
    assert len(copies(old.parent)) == 1
    assert ask(old, "SELECT version_num FROM schema_revision") == "0007"


@pytest.mark.postgres
@pytest.mark.slow
def test_184_a_backup_of_postgresql_is_asked_for(
    empty_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "customers").mkdir()
    old_stores.build_old_store(empty_postgresql, "0009")
    upgrade = ["store", "upgrade", "--store", empty_postgresql]
    assert run(upgrade) == 1
    said = capsys.readouterr().err
    assert "[backup-needed]" in said
    assert "pg_dump" in said
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert run(upgrade) == 0
    assert list_store_revisions(empty_postgresql)[0][1] == "0009"
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    assert run(upgrade) == 0
    assert list_store_revisions(empty_postgresql)[0][1] == schema.DURABLE.head
    # Nothing to change, nothing to ask.
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert run(upgrade) == 0
