"""A database role that can only read is enough for a plan, as in CI's plan job."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle
from tests.support.stores.postgresql import administer

ROLE = "reader_of_plans"


@pytest.fixture
def reading(project: Project, postgresql_server: str) -> Iterator[str]:
    """The store's URL for a role that may read every table of it, and make temporary ones."""
    name = sql.Identifier(ROLE)
    administer(postgresql_server, sql.SQL("CREATE ROLE {} LOGIN").format(name))
    with psycopg.connect(project.store_url) as connection:
        connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(name))
    address = urlsplit(project.store_url)
    yield urlunsplit(address._replace(netloc=f"{ROLE}@{address.netloc.rpartition('@')[2]}"))
    with psycopg.connect(project.store_url) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
    administer(postgresql_server, sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_read_only_role_plans_alike_but_applies_nothing(
    project: Project, reading: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = Project(project.folder, reading, capsys)
    project.customer()
    assert project.apply("springfield", "--zip", str(bundle(users=20).zip(project.folder / "day-1.zip"))).code in (0, 3)
    project.customer(title="Springfield Unified")
    for options in ([], ["--roster", "none"], ["springfield", "--zip", "day-1.zip"]):
        plans = [each.json for each in (project.plan(*options), reader.plan(*options))]
        assert plans[0]["plan_id"] == plans[1]["plan_id"]
        assert plans[1]["summary"]["update"] >= 1
    refused = reader.run("apply", "--yes", "--roster", "none")
    assert refused.code == 1, refused.out
    assert "denies this user permission" in refused.err
    assert project.plan("--roster", "none").code == 2
