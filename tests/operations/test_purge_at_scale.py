"""A purge of many customers with nothing to do asks the store once for all of them."""

from datetime import timedelta
from typing import Any

import pytest

from reconciler.operations.location import Location
from reconciler.operations.purge import survey_purge
from reconciler.operations.workspace import open_workspace
from reconciler.store.database.connection import Connection
from tests.support.customers.project import Project


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is sent from now on."""
    sent: list[str] = []
    run = Connection._run_statement

    def count(self: Connection, statement: Any, parameters: Any) -> Any:
        sent.append(str(statement))
        return run(self, statement, parameters)

    monkeypatch.setattr(Connection, "_run_statement", count)
    return sent


def survey(project: Project) -> Any:
    return survey_purge(open_workspace(Location(project.folder / "customers", None, project.store_url)))


def test_141_statements_do_not_grow_with_the_customers(project: Project, statements: list[str]) -> None:
    for number in range(3):
        project.customer(f"customer-{number}", org=None)
    assert project.apply().code == 0
    statements.clear()
    assert [each.purgeable.counts for each in survey(project).candidates] == [{}] * 4
    few = len(statements)
    for number in range(3, 9):
        project.customer(f"customer-{number}", org=None)
    assert project.apply().code == 0
    statements.clear()
    found = survey(project).candidates
    assert len(found) == 10
    assert all(each.retention == timedelta(days=30) for each in found)
    assert len(statements) == few
