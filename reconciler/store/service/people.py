"""Find the person who arrives, bind an LMS's user_id to an account, and make accounts for new people."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.model.ids import CustomerId, CustomerNumber, SourcedId
from reconciler.model.role import Role
from reconciler.model.roster import AccountManager
from reconciler.store.erased_people import list_anonymous_records
from reconciler.store.key import StoreKey
from reconciler.store.service.database import RequestConnection, RequestDatabase, Row
from reconciler.store.service.statement import build_statement

#: The source that membership rows of launches name
LAUNCH_SOURCE = "lti"
#: A launch waits for the last seats only if fewer than this are left: with more left, no two can take the same one.
CONTESTED_SEATS = 64
#: How many numbered sign-in names are tried before a random one
_NUMBERED_NAMES = 20

_PERSON_COLUMNS = (
    "a.id, a.status, a.tombstoned_at, a.merged_into, a.managed_by, a.role, a.given_name, a.family_name, a.email,"
    " a.username, a.password_hash IS NOT NULL"
)
_FIND_LINKED = build_statement(
    f"SELECT {_PERSON_COLUMNS} FROM issuers i JOIN identities d ON d.issuer_id = i.id AND d.subject = :subject"
    " JOIN accounts a ON a.id = d.account_id WHERE i.name = :issuer"
)
_FIND_BY_IDENTIFIER = build_statement(
    f"SELECT {_PERSON_COLUMNS} FROM accounts a WHERE a.customer_id = :customer AND a.identifier = :value"
    " AND a.managed_by = 'roster' LIMIT 3"
)
_FIND_ERASED = build_statement("SELECT 1 FROM erased WHERE customer_id = :customer AND trace = :trace")
_FIND_ACCOUNT = build_statement(f"SELECT {_PERSON_COLUMNS} FROM accounts a WHERE a.id = :account")
_FIND_SUBJECTS = build_statement(
    "SELECT d.subject FROM identities d JOIN issuers i ON i.id = d.issuer_id"
    " WHERE d.account_id = :account AND i.name = :issuer"
)
_ADD_ISSUER = build_statement(
    "INSERT INTO issuers (customer_id, name, kind) VALUES (:customer, :issuer, 'lti') ON CONFLICT (name) DO NOTHING"
)
_BIND = build_statement(
    "INSERT INTO identities (issuer_id, subject, account_id, customer_id)"
    " SELECT id, :subject, :account, :customer FROM issuers WHERE name = :issuer"
)
_ADD_ACCOUNT = build_statement(
    "INSERT INTO accounts (customer_id, managed_by, status, given_name, family_name, email, username, username_key,"
    " role) VALUES (:customer, :manager, 'active', :given, :family, :email, :username, :username_key, :role)"
    " RETURNING id"
)
_ADD_MEMBERSHIP = build_statement(
    "INSERT INTO memberships (account_id, community_id, role, source, customer_id)"
    " VALUES (:account, :community, :role, :source, :customer) ON CONFLICT DO NOTHING"
)
_HAS_EMAIL = build_statement(
    "SELECT 1 FROM accounts WHERE customer_id = :customer AND tombstoned_at IS NULL AND lower(email) = lower(:email)"
    " LIMIT 1"
)
_HAS_USERNAME = build_statement(
    "SELECT 1 FROM accounts WHERE customer_id = :customer AND tombstoned_at IS NULL AND username_key = :key"
)
_COUNT_MEMBERS = build_statement(
    "SELECT count(DISTINCT m.account_id) FROM memberships m JOIN accounts a ON a.id = m.account_id"
    " WHERE m.community_id = :community AND a.tombstoned_at IS NULL AND a.status = 'active'"
)
#: Transactions that bind the same account wait for each other, so that it has at most one user_id per platform.
_CONTEST_ACCOUNT = build_statement(
    "SELECT 1", postgresql="SELECT pg_advisory_xact_lock(1919247207, CAST(:account % 2147483647 AS integer))"
)
#: Launches for the last seats of a community wait for each other. SQLite has one writer anyway.
_CONTEST_SEATS = build_statement(
    "SELECT 1", postgresql="SELECT pg_advisory_xact_lock(1919247206, CAST(:community AS integer))"
)


@dataclass(frozen=True, slots=True)
class Person:
    """An account, as a request sees it."""

    account: int
    is_active: bool
    is_deleted: bool
    merged_into: int | None
    managed_by: AccountManager
    role: str | None
    given_name: str
    family_name: str
    email: str
    username: str
    has_password: bool


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What a launch says about a person who will get an account."""

    given_name: str
    family_name: str
    email: str
    role: Role
    #: a suggestion for the sign-in name, of which letters and digits are used
    name: str


def name_lti_issuer(customer: CustomerId, platform: str) -> str:
    """Return the name of the issuer whose subjects are the user_ids of a platform."""
    return f"{customer}/lti/{platform}"


def find_linked_person(database: RequestDatabase | RequestConnection, issuer: str, subject: str) -> Person | None:
    """Return the person that an issuer's subject is bound to, deleted ones included; None if there is none."""
    return _get_only(database.fetch(_FIND_LINKED, {"issuer": issuer, "subject": subject}))


def find_rostered_person(
    database: RequestDatabase | RequestConnection,
    customer: CustomerId,
    number: CustomerNumber,
    field: Literal["sourced_id", "identifier"],
    value: str,
) -> Person | None:
    """Return the person of the customer's roster with this sourcedId or identifier, deleted ones included.

    None if nobody has it or several people do.
    """
    if field == "sourced_id":
        return find_linked_person(database, f"{customer}/main", value)
    people = [_parse_person(row) for row in database.fetch(_FIND_BY_IDENTIFIER, {"customer": number, "value": value})]
    live = [each for each in people if not each.is_deleted]
    found = live or people
    return found[0] if len(found) == 1 else None


def is_erased(database: RequestDatabase, key: StoreKey, number: CustomerNumber, sourced_id: str) -> bool:
    """Return whether the customer's person with this sourcedId was erased and must not return."""
    traces = list_anonymous_records(key, number, SourcedId(sourced_id))
    return any(database.fetch(_FIND_ERASED, {"customer": number, "trace": trace}) for trace in traces)


def find_account(database: RequestDatabase | RequestConnection, account: int) -> Person | None:
    """Return the person of an account."""
    return _get_only(database.fetch(_FIND_ACCOUNT, {"account": account}))


def list_subjects(database: RequestDatabase | RequestConnection, account: int, issuer: str) -> tuple[str, ...]:
    """Return the subjects of an issuer that an account is bound to."""
    return tuple(str(row[0]) for row in database.fetch(_FIND_SUBJECTS, {"account": account, "issuer": issuer}))


def bind_person(connection: RequestConnection, number: CustomerNumber, issuer: str, subject: str, account: int) -> bool:
    """Bind an issuer's subject to an account; return False if the account has another subject of the same issuer.

    Raises RowExistsError if the subject is bound already.
    """
    facts = {"customer": number, "issuer": issuer, "subject": subject, "account": account}
    connection.fetch(_CONTEST_ACCOUNT, facts)
    if list_subjects(connection, account, issuer):
        return False
    connection.execute(_ADD_ISSUER, facts)
    connection.execute(_BIND, facts)
    return True


def take_seat(connection: RequestConnection, community: int, seats: int) -> bool:
    """Return whether a community has a seat for one more member, and keep it free until the transaction ends."""
    facts = {"community": community}
    taken = int(connection.fetch(_COUNT_MEMBERS, facts)[0][0])
    if seats - taken > CONTESTED_SEATS:
        return True
    connection.fetch(_CONTEST_SEATS, facts)
    return int(connection.fetch(_COUNT_MEMBERS, facts)[0][0]) < seats


def create_person(
    connection: RequestConnection, number: CustomerNumber, newcomer: Newcomer, *, is_contested: bool = False
) -> tuple[int, bool]:
    """Make an account without a password for a person who arrives by a launch.

    is_contested: others make accounts of the same name at this moment, so that only a random sign-in name is free.
    Return its number, and whether it was made without the e-mail address because another account has it: an address
    proves nothing. Raises RowExistsError if somebody takes the sign-in name at this moment.
    """
    facts: dict[str, object] = {"customer": number, "email": newcomer.email or None}
    is_taken = bool(newcomer.email) and bool(connection.fetch(_HAS_EMAIL, facts))
    username = next(
        each
        for each in _propose_usernames(newcomer, is_contested=is_contested)
        if not connection.fetch(_HAS_USERNAME, {"customer": number, "key": each})
    )
    account = connection.fetch(
        _ADD_ACCOUNT,
        {
            **facts,
            "email": None if is_taken else newcomer.email or None,
            "manager": AccountManager.LTI.value,
            "given": newcomer.given_name or None,
            "family": newcomer.family_name or None,
            "username": username,
            "username_key": username,
            "role": newcomer.role.value,
        },
    )[0][0]
    return int(account), is_taken


def add_member(connection: RequestConnection, number: CustomerNumber, community: int, account: int, role: Role) -> None:
    """Make an account a member of a community, unless it is one by a launch already."""
    connection.execute(
        _ADD_MEMBERSHIP,
        {
            "customer": number,
            "community": community,
            "account": account,
            "role": role.value,
            "source": LAUNCH_SOURCE,
        },
    )


def _propose_usernames(newcomer: Newcomer, *, is_contested: bool) -> Iterator[str]:
    from secrets import token_hex

    plain = unicodedata.normalize("NFKD", newcomer.name).encode("ascii", "ignore").decode().lower()
    stem = "".join(each for each in plain if each.isalnum() or each == ".").strip(".")[:40] or "reader"
    if not is_contested:
        yield stem
        for number in range(2, _NUMBERED_NAMES):
            yield f"{stem}{number}"
    while True:
        yield f"{stem}-{token_hex(3)}"


def _get_only(rows: Sequence[Row]) -> Person | None:
    return _parse_person(rows[0]) if rows else None


def _parse_person(row: Row) -> Person:
    number, status, tombstoned, merged, manager, role, *names, has_password = row
    given, family, email, username = (each or "" for each in names)
    return Person(
        int(number),
        status == "active",
        tombstoned is not None,
        merged,
        AccountManager(manager),
        role,
        given,
        family,
        email,
        username,
        bool(has_password),
    )
