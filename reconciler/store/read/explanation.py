"""Read the origin, changes, identities and communities of one row, to explain it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.ids import Moment, RunId
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection

TABLES = {Kind.USER: "accounts", Kind.CLASS: "classes", Kind.ORG: "orgs", Kind.ENROLLMENT: "enrollments"}

#: Columns of all these tables; classes and enrollments also have concluded_at.
COLUMNS = ("origin_file", "origin_line", "origin_run", "created_run", "tombstoned_at", "tombstoned_run", "fingerprint")


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of a row by a run."""

    run: RunId
    #: `create` for the run that created the row
    action: str


@dataclass(frozen=True, slots=True)
class RowRecord:
    """The origin and the changes of a row."""

    #: file and line of the roster or YAML that the row was last written from, and the run that wrote it
    origin_file: str | None
    origin_line: int | None
    origin_run: RunId | None
    created_run: RunId | None
    tombstoned_at: Moment | None
    tombstoned_run: RunId | None
    concluded_at: Moment | None
    #: True if the row was written outside reconciler since
    has_external_write: bool
    changes: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class AccountIdentity:
    """A subject by which an issuer knows an account."""

    #: such as `springfield/main`, `springfield/lti/canvas`
    issuer: str
    #: roster, config or lti
    kind: str
    subject: str
    #: True for a further sourcedId of a person who has several
    alias: bool


def read_row_record(connection: Connection, kind: Kind, row: int) -> RowRecord | None:
    """Return the origin and changes of a row, or None if the store has no row of this id."""
    concluded_at = "concluded_at" if kind in (Kind.CLASS, Kind.ENROLLMENT) else "CAST(NULL AS TEXT)"
    row_values = connection.fetch_row(
        f"SELECT {', '.join(COLUMNS)}, {concluded_at} FROM {TABLES[kind]} WHERE id = :id", {"id": row}
    )
    if row_values is None:
        return None
    values: Mapping[str, Any] = dict(zip((*COLUMNS, "concluded_at"), row_values, strict=True))
    journalled = connection.fetch_rows(
        "SELECT run_id, action FROM journal WHERE kind = :kind AND row_id = :id ORDER BY id",
        {"kind": kind.value, "id": row},
    )
    creation = [RowChange(values["created_run"], "create")] if values["created_run"] is not None else []
    return RowRecord(
        origin_file=values["origin_file"],
        origin_line=values["origin_line"],
        origin_run=values["origin_run"],
        created_run=values["created_run"],
        tombstoned_at=values["tombstoned_at"],
        tombstoned_run=values["tombstoned_run"],
        concluded_at=values["concluded_at"],
        has_external_write=values["fingerprint"] is None,
        changes=(*creation, *(RowChange(RunId(int(run)), str(action)) for run, action in journalled)),
    )


def list_account_identities(connection: Connection, account: int) -> tuple[AccountIdentity, ...]:
    """Return the identities of an account, sorted by issuer, then subject."""
    rows = connection.fetch_rows(
        "SELECT x.name, x.kind, i.subject, i.alias FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " WHERE i.account_id = :account ORDER BY x.name, i.subject",
        {"account": account},
    )
    return tuple(AccountIdentity(name, kind, subject, alias is not None) for name, kind, subject, alias in rows)


def list_account_communities(connection: Connection, account: int) -> tuple[str, ...]:
    """Return the IDs of the active communities that an account is in, sorted."""
    rows = connection.fetch_rows(
        "SELECT DISTINCT c.slug FROM memberships m JOIN communities c ON c.id = m.community_id"
        " WHERE m.account_id = :account AND c.tombstoned_at IS NULL ORDER BY c.slug",
        {"account": account},
    )
    return tuple(slug for (slug,) in rows)
