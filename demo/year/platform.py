"""The platform's store: what it holds of everybody, and what its people do there with passwords, LMS links and
assignments, as its web service would write it. By the program's own connection: one SQLite library in one process.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from demo.year.member import Member
from demo.year.office import Office
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store, open_store

CUSTOMER = "springfield"
LMS = f"{CUSTOMER}/lti/canvas"
DAY = "2026-08-24T12:00:00Z"

PERSON = ("given_name", "family_name", "email", "username", "identifier", "grades", "status")
PEOPLE = f"""
SELECT a.id, {", ".join(f"a.{name}" for name in PERSON)}, a.password_hash
FROM accounts a JOIN customers c ON c.id = a.customer_id
WHERE c.slug = '{CUSTOMER}' AND a.tombstoned_at IS NULL AND a.managed_by <> 'config'
"""
LINKS = """
SELECT i.account_id, x.kind, i.subject FROM identities i JOIN issuers x ON x.id = i.issuer_id
WHERE x.kind IN ('roster', 'lti')
"""
ROLES = "SELECT r.account_id, o.sourced_id AS school, r.role FROM account_roles r JOIN orgs o ON o.id = r.org_id"
SEATS = """
SELECT e.account_id, k.sourced_id AS section FROM enrollments e JOIN classes k ON k.id = e.class_id
WHERE e.tombstoned_at IS NULL AND k.tombstoned_at IS NULL
"""
CLASSES = "SELECT id, sourced_id AS section FROM classes WHERE tombstoned_at IS NULL"
ASSIGNMENTS = "SELECT id, account_id, class_id FROM assignments WHERE tombstoned_at IS NULL"


@dataclass(slots=True)
class LiveAccount:
    """One live account."""

    account: int
    given_name: str
    family_name: str
    email: str
    username: str
    identifier: str
    grade: str
    status: str
    password: str | None
    roles: set[str] = field(default_factory=set)
    seats: list[str] = field(default_factory=list)
    sourced_ids: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    assignments: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Holdings:
    """people: live accounts by id. classes: assignments of live classes by sourcedId. ids: of live classes."""

    people: dict[int, LiveAccount]
    classes: dict[str, frozenset[int]]
    ids: dict[str, int]


class StorePlatform:
    def __init__(self, folder: Path, url: str, environment: str) -> None:
        self._folder, self._url, self._environment = folder, url, environment

    def read_holdings(self) -> Holdings:
        with self.store.open_connection() as connection, connection.open_read_transaction():
            return _read_holdings(connection)

    def simulate_class_day(self, office: Office, holdings: Holdings) -> None:
        """What a school day leaves behind: some choose a password, some come by their LMS, teachers give lessons."""
        by_account = {member.account: member for member in office.list_present() if member.account in holdings.people}
        members = list(by_account.values())
        busy = max(3, round(len(members) / 150))
        with self.store.open_connection() as connection, connection.open_write_transaction():
            for member in office.pick_members([each for each in members if each.password is None], busy):
                self.choose_password(connection, member)
            for member in office.pick_members([each for each in members if each.subject is None], busy):
                self.launch_member(connection, member)
            lessons = [int(row[0]) for row in connection.fetch_rows("SELECT id FROM lessons ORDER BY id")]
            for member in office.pick_members(members, busy):
                member.assignments.add(self._assign_lesson(connection, office, lessons, "account_id", member.account))
            bare = [key for key in office.sections if key in holdings.ids]
            for key in office.pick_members(bare, 2):
                section = office.sections[key]
                section.assignments.add(self._assign_lesson(connection, office, lessons, "class_id", holdings.ids[key]))

    def launch_members(self, members: Sequence[Member]) -> None:
        """They come by their LMS while a plan waits to be applied."""
        with self.store.open_connection() as connection, connection.open_write_transaction():
            for member in members:
                self.launch_member(connection, member)

    def choose_password(self, connection: Connection, member: Member) -> None:
        member.password = f"$argon2id$made-up${member.number}"
        connection.execute(
            "UPDATE accounts SET password_hash = :hash WHERE id = :id",
            {"hash": member.password, "id": member.account},
        )

    def launch_member(self, connection: Connection, member: Member) -> None:
        """The first launch binds the LMS's user_id to the account."""
        member.subject = f"canvas-{member.number}"
        if not connection.fetch_scalar("SELECT count(*) FROM issuers WHERE name = :name", {"name": LMS}):
            connection.execute(
                "INSERT INTO issuers (customer_id, name, kind) SELECT id, :name, 'lti' FROM customers"
                " WHERE slug = :slug",
                {"name": LMS, "slug": CUSTOMER},
            )
        connection.execute(
            "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT x.id, :subject, a.id,"
            " a.customer_id FROM issuers x, accounts a WHERE x.name = :name AND a.id = :account",
            {"subject": member.subject, "name": LMS, "account": member.account},
        )

    def _assign_lesson(
        self, connection: Connection, office: Office, lessons: Sequence[int], column: str, target: int | None
    ) -> int:
        connection.execute(
            f"INSERT INTO assignments (customer_id, lesson_id, {column}, created_at)"
            " SELECT id, :lesson, :target, :now FROM customers WHERE slug = :slug",
            {"lesson": office.chance.choice(lessons), "target": target, "now": DAY, "slug": CUSTOMER},
        )
        return int(connection.fetch_scalar("SELECT max(id) FROM assignments"))

    @cached_property
    def store(self) -> Store:
        with contextlib.chdir(self._folder):
            return open_store(self._url, self._environment)


def _iter_rows(connection: Connection, query: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    """By way of a frame: fetching values one by one takes ten times as long. Columns that end in `id` are integers."""
    schema = {name: pl.Int64 if name.endswith("id") else pl.String for name in columns}
    return connection.fetch_frame(query, schema).iter_rows()


def _read_holdings(connection: Connection) -> Holdings:
    people = {
        row[0]: LiveAccount(row[0], *(each or "" for each in row[1:8]), row[8])
        for row in _iter_rows(connection, PEOPLE, "id", *PERSON, "password_hash")
    }
    for account, kind, subject in _iter_rows(connection, LINKS, "account_id", "kind", "subject"):
        if account in people:
            (people[account].sourced_ids if kind == "roster" else people[account].subjects).add(subject)
    for account, school, role in _iter_rows(connection, ROLES, "account_id", "school", "role"):
        if account in people:
            people[account].roles.add(f"{school}={role}")
    for account, section in _iter_rows(connection, SEATS, "account_id", "section"):
        if account in people:
            people[account].seats.append(section)
    names = dict(_iter_rows(connection, CLASSES, "id", "section"))
    classes: dict[str, set[int]] = defaultdict(set)
    for assignment, account, section in _iter_rows(connection, ASSIGNMENTS, "id", "account_id", "class_id"):
        if account in people:
            people[account].assignments.add(assignment)
        elif section in names:
            classes[names[section]].add(assignment)
    ids = {sourced_id: id for id, sourced_id in names.items()}
    return Holdings(people, {key: frozenset(classes[key]) for key in ids}, ids)
