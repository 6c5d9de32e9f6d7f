"""Builds stores of earlier revisions, with the rows that the program of that time wrote."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, text

from reconciler.store.address import parse_store_url
from reconciler.store.database import schema
from tests.support.customers.project import Project
from tests.support.rosters.bundles import Bundle, bundle

#: `BRANCH-REVISION.sql`: the rows after two rosters of the customer below were applied, a third one was held, and a
#: person was erased where the program could. They were written by the program of that revision, on SQLite.
FOLDER = Path(__file__).parents[2] / "store/revisions"
#: the newest revision of the volatile tables when a durable revision was the newest
VOLATILE_FROM = {"0001": "0001", "0008": "0002", "0013": "0003"}

CUSTOMER = """\
kind: customer
id: springfield
name: Springfield District
administrators:
  - {given_name: Ada, family_name: Byron, email: ada@springfield.example, username: ada, role: admin, \
password: {secret: admin}}
address: {street: [1 Main Street], city: Town, region: IL, postal_code: "60601", country: US}
agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}
lti:
  platforms:
    - id: canvas
      version: "1.1"
      consumer_key: springfield-canvas
      shared_secret: {secret: canvas}
      origins: ["https://springfield.instructure.example"]
      community: high
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {type: zip}
"""
COMMUNITY = """\
kind: community
id: high
name: High
site_license: {seats: 20, starts: 2026-08-01, ends: 2099-07-31}
lessons: [leaves]
lti: {auto_provisioning: true}
"""
LESSON = "kind: lesson\nid: leaves\ntitle: Leaves\nurl: https://lessons.example/leaves\n"
#: by path
DOCUMENTS = {
    "reconciler.yaml": 'format: 1\nenvironments: {test: {store: "sqlite:///store.db"}}\n',
    "customers/lessons/leaves.yaml": LESSON,
    "customers/springfield/customer.yaml": CUSTOMER,
    "customers/springfield/communities/high.yaml": COMMUNITY,
}
#: by variable
SECRETS = {
    "RECONCILER_SECRET__SPRINGFIELD__CANVAS": "canvas-shared-secret-1",
    "RECONCILER_SECRET__SPRINGFIELD__ADMIN": "Correct-horse-7-battery",
}
DAY_ONE = bundle(users=12)
REMOVED, RENAMED, ERASED = "u-0003", "u-0004", "u-0012"


def build_second_day() -> Bundle:
    """The roster that was applied last."""
    return DAY_ONE.without_users([REMOVED]).with_row("users", RENAMED, familyName="Okafor")


def list_recorded_revisions(branch: schema.MigrationBranch) -> list[str]:
    return sorted(path.stem.removeprefix(f"{branch.name}-") for path in FOLDER.glob(f"{branch.name}-*.sql"))


def write_documents(project: Project) -> None:
    for name, content in DOCUMENTS.items():
        project.write(name, content)


def build_old_store(url: str, revision: str) -> None:
    """Migrates an empty database to a revision, and inserts the recorded rows."""
    volatile = max(number for first, number in VOLATILE_FROM.items() if first <= revision)
    _fill_branch(url, schema.DURABLE, revision)
    _fill_branch(url, schema.VOLATILE, volatile)


def _fill_branch(url: str, branch: schema.MigrationBranch, revision: str) -> None:
    statements = (FOLDER / f"{branch.name}-{revision}.sql").read_text(encoding="utf-8").split(";\n")
    with schema._open_transaction(parse_store_url(url), branch) as connection:
        configuration = branch.build_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
        for statement in filter(None, statements):
            _execute(connection, statement)
        if connection.dialect.name == "postgresql":
            _advance_sequences(connection)


def _execute(connection: Connection, statement: str) -> None:
    if connection.dialect.name == "postgresql":
        statement = re.sub(r"X'([0-9a-f]*)'", lambda found: f"'\\x{found[1]}'", statement)
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def _advance_sequences(connection: Connection) -> None:
    """SQLite does so itself when a row with a number is inserted."""
    tables = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''"
            " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
        )
    ).scalars()
    for table in tables.all():
        connection.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1, false) FROM {table}"
            )
        )
