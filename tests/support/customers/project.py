"""Runs the commands on a customers repository with a store."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as sqlite
import psycopg
import pytest

from reconciler.cli.main import run

CUSTOMER = """\
kind: customer
id: {id}
name: {name}
administrators:
  - {{given_name: Ada, family_name: Byron, email: ada@{id}.example, username: ada, role: admin}}
address: {{street: [1 Main Street], city: Town, region: IL, postal_code: "60601", country: US}}
agreements: {{privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}}
{more}
"""

ROSTERING = """\
rostering:
  type: oneroster
  client_partner_id: {org}
  match_with: identifier
  sync: {{type: zip}}
"""


ENVIRONMENT = "test"
KEY = bytes(range(32))

#: (kind, sourcedId) of every roster entity that is there.
LIVE = """
SELECT 'user', i.subject FROM accounts a JOIN identities i ON i.account_id = a.id JOIN issuers x ON x.id = i.issuer_id
WHERE x.kind = 'roster' AND a.tombstoned_at IS NULL
UNION ALL SELECT 'org', sourced_id FROM orgs WHERE tombstoned_at IS NULL
UNION ALL SELECT 'class', sourced_id FROM classes WHERE tombstoned_at IS NULL
UNION ALL SELECT 'enrollment', sourced_id FROM enrollments WHERE tombstoned_at IS NULL
"""

FILES_ONLY = frozenset({"validate", "fmt", "new", "schema", "roster"})


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Project:
    """`run` calls the program as from a shell, in this process and in the project's folder."""

    def __init__(self, folder: Path, store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.store_url = store_url
        self._capsys = capsys

    def customer(self, name: str = "springfield", *, org: str | None = "d-1", more: str = "", title: str = "") -> Path:
        path = self.folder / "customers" / name / "customer.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        rostering = ROSTERING.format(org=org) if org else ""
        text = CUSTOMER.format(id=name, name=title or f"{name.title()} District", more=rostering + more)
        path.write_text(text, encoding="utf-8")
        return path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str | Path) -> Result:
        self._capsys.readouterr()
        verb, *rest = [str(argument) for argument in arguments]
        store = [] if verb in FILES_ONLY else ["--store", self.store_url]
        code = run([verb, *store, *rest])
        captured = self._capsys.readouterr()
        return Result(int(code), captured.out, captured.err)

    def plan(self, *arguments: str | Path) -> Result:
        """`plan` with JSON and the detailed exit code, everybody by sourcedId."""
        return self.run("plan", "--format", "json", "--detailed-exitcode", "--people", "full", *arguments)

    def apply(self, *arguments: str | Path) -> Result:
        return self.run("apply", "--yes", *arguments)

    @contextmanager
    def by_hand(self) -> Iterator[Any]:
        """A cursor of another hand on the store; commits at the end."""
        if self.store_url.startswith("sqlite"):
            connection: Any = sqlite.connect(self.store_url.removeprefix("sqlite:///"))
        else:
            # ADBC's driver reads the server's types at each connect, which takes longer than what tests ask.
            connection = psycopg.connect(self.store_url)
        with connection, connection.cursor() as cursor:
            yield cursor
            connection.commit()

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.by_hand() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]


def changes(plan: Result, kind: str, customer: int = 0) -> list[Mapping[str, Any]]:
    return [change for change in plan.json["customers"][customer]["changes"] if change["kind"] == kind]


def keys(plan: Result, kind: str, action: str) -> list[str]:
    return [change["key"] for change in changes(plan, kind) if change["action"] == action]
