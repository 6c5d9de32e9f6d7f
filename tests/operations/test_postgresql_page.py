"""The roles in docs/how-to/postgresql.md can do what the page says, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from reconciler.cli.main import run
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle
from tests.support.stores.postgresql import administer

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "postgresql.md").read_text(encoding="utf-8")
ROLES, RIGHTS = re.findall(r"^```sql\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture
def database(postgresql_server: str) -> Iterator[str]:
    """The URL of a new database with the roles of the page; `{}` stands for the role."""
    for statement in ROLES.split(";")[:-1]:
        administer(postgresql_server, sql.SQL(statement))  # type: ignore[arg-type]
    address = urlsplit(postgresql_server.format("rosters"))
    url = urlunsplit(address._replace(netloc=f"{{}}@{address.netloc.rpartition('@')[2]}"))
    with psycopg.connect(url.format("rosters_owner")) as connection:
        connection.execute(RIGHTS)  # type: ignore[arg-type]
    yield url
    administer(postgresql_server, sql.SQL("DROP DATABASE rosters WITH (FORCE)"))
    for role in ("reader", "writer", "owner"):
        administer(postgresql_server, sql.SQL("DROP ROLE {}").format(sql.Identifier(f"rosters_{role}")))


@pytest.mark.parametrize("store_url", [pytest.param("sqlite")], indirect=True)
@pytest.mark.postgres
def test_owner_creates_tables_writer_applies_and_reader_plans(
    project: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, writer, reader = (
        Project(project.folder, database.format(f"rosters_{role}"), capsys) for role in ("owner", "writer", "reader")
    )
    project.customer()
    days = [str(bundle(users=users).zip(project.folder / f"day-{users}.zip")) for users in (20, 19)]
    assert run(["store", "create", "--store", owner.store_url]) == 0
    assert writer.apply("springfield", "--zip", days[0]).code == 0
    assert writer.apply("springfield", "--zip", days[1]).code == 0
    assert writer.run("undo", "2", "--yes").code == 0
    assert writer.run("purge", "--yes").code == 0
    assert reader.plan("springfield", "--zip", days[1]).json["summary"]["delete"] >= 1
    for verb in (["history"], ["holds"], ["explain", "springfield", "u-1"]):
        assert "permission denied" not in reader.run(*verb).err
    refused = reader.apply("springfield", "--zip", days[1])
    assert refused.code == 1
    assert "denies this user permission" in refused.err
