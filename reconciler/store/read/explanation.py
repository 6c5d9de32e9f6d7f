"""What the store knows of one row: where it came from, which runs touched it, what is bound to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection

TABLES = {Kind.USER: "accounts", Kind.CLASS: "classes", Kind.ORG: "orgs", Kind.ENROLLMENT: "enrollments"}

#: All of them have these; a class or an enrollment may also have ended with its term.
COLUMNS = ("origin_file", "origin_line", "origin_run", "created_run", "tombstoned_at", "tombstoned_run", "fingerprint")


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a run did to a row. action: `create` for the run that made it."""

    run: int
    action: str


@dataclass(frozen=True, slots=True)
class RowRecord:
    """origin: file and line of the roster that made it what it is, with the run that wrote it. changed_by_hand: another
    hand wrote to it since."""

    origin_file: str | None
    origin_line: int | None
    origin_run: int | None
    created_run: int | None
    tombstoned_at: str | None
    tombstoned_run: int | None
    concluded_at: str | None
    has_external_write: bool
    changes: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class AccountIdentity:
    """What an account is known by. issuer: `springfield/main`, `springfield/lti/canvas`. kind: roster, config, lti."""

    issuer: str
    kind: str
    subject: str
    alias: bool


def read_row_record(connection: Connection, kind: Kind, row: int) -> RowRecord | None:
    table = TABLES[kind]
    ended = "concluded_at" if kind in (Kind.CLASS, Kind.ENROLLMENT) else "CAST(NULL AS TEXT)"
    found = connection.fetch_row(
        f"SELECT {', '.join(COLUMNS)}, {ended} FROM {table} WHERE id = :id",
        {"id": row},
    )
    if found is None:
        return None
    values: Mapping[str, Any] = dict(zip((*COLUMNS, "concluded_at"), found, strict=True))
    journalled = connection.fetch_rows(
        "SELECT run_id, action FROM journal WHERE kind = :kind AND row_id = :id ORDER BY id",
        {"kind": kind.value, "id": row},
    )
    made = [RowChange(values["created_run"], "create")] if values["created_run"] is not None else []
    return RowRecord(
        origin_file=values["origin_file"],
        origin_line=values["origin_line"],
        origin_run=values["origin_run"],
        created_run=values["created_run"],
        tombstoned_at=values["tombstoned_at"],
        tombstoned_run=values["tombstoned_run"],
        concluded_at=values["concluded_at"],
        has_external_write=values["fingerprint"] is None,
        changes=(*made, *(RowChange(int(run), str(action)) for run, action in journalled)),
    )


def list_account_identities(connection: Connection, account: int) -> tuple[AccountIdentity, ...]:
    """By issuer, then subject."""
    rows = connection.fetch_rows(
        "SELECT x.name, x.kind, i.subject, i.alias FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " WHERE i.account_id = :account ORDER BY x.name, i.subject",
        {"account": account},
    )
    return tuple(AccountIdentity(name, kind, subject, alias is not None) for name, kind, subject, alias in rows)


def list_account_communities(connection: Connection, account: int) -> tuple[str, ...]:
    rows = connection.fetch_rows(
        "SELECT DISTINCT c.slug FROM memberships m JOIN communities c ON c.id = m.community_id"
        " WHERE m.account_id = :account AND c.tombstoned_at IS NULL ORDER BY c.slug",
        {"account": account},
    )
    return tuple(slug for (slug,) in rows)
