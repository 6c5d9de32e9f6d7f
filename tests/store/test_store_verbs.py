"""`store status` and `store upgrade` look at the schema, and make no store where there is none."""

from __future__ import annotations

import pytest

from reconciler.store import schema
from reconciler.store.opening import open_store
from tests.conftest import ENVIRONMENT, KEY
from tests.project import Project


def test_status_names_both_schemas_and_upgrade_has_nothing_to_do(project: Project) -> None:
    open_store(project.store_url, ENVIRONMENT, key=KEY)
    status = project.run("store", "status")
    assert (status.code, status.out) == (0, "durable: 0001\nvolatile: 0001\n")
    upgrade = project.run("store", "upgrade")
    assert (upgrade.code, upgrade.out) == (0, "durable: up to date (0001)\nvolatile: up to date (0001)\n")


def test_status_of_an_older_store_exits_1_and_names_the_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(project.store_url, ENVIRONMENT, key=KEY)
    newer = schema.Branch("durable", "schema_revision", "0002")
    monkeypatch.setattr(schema, "BRANCHES", (newer, schema.VOLATILE))
    status = project.run("store", "status")
    assert status.code == 1
    assert "run `reconciler store upgrade`" in status.out


@pytest.mark.parametrize("verb", ["status", "upgrade"])
def test_neither_makes_a_store(project: Project, verb: str) -> None:
    url = f"sqlite:///{project.folder / 'nowhere.db'}"
    result = project.run("store", verb, "--store", url)
    assert result.code == 1
    assert "[no-store]" in result.err
    assert not (project.folder / "nowhere.db").exists()
