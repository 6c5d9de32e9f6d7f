"""Erase a person, or a removed customer, permanently on request."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import polars as pl

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId, CustomerNumber, SourcedId
from reconciler.model.kind import Kind
from reconciler.model.text_form import make_caseless_column, make_caseless_form
from reconciler.operations.actor import find_actor
from reconciler.operations.fetch.fetching import delete_fetch_checkpoints
from reconciler.operations.purge import list_declared_customers
from reconciler.operations.workspace import Workspace, describe_unknown_customer
from reconciler.store.read import CustomerRecord, Reader, read_users
from reconciler.store.removal import (
    Certificate,
    ErasureJob,
    count_customer_rows,
    count_person_rows,
    erase_customer,
    erase_person,
    find_erasure_certificate,
    is_configured_administrator,
    list_class_titles,
)
from reconciler.store.removal import (
    lift_erasure as store_lift_erasure,
)

PSEUDONYM = re.compile(r"P-[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person or customer to erase, and everything that goes with it."""

    customer: CustomerId
    customer_number: CustomerNumber
    #: an account's id, the sourcedId of a person that only the last roster has, or None for the whole customer
    target: int | SourcedId | None
    #: rows by table
    counts: Mapping[str, int]
    #: the account's fields; empty without an account
    person: Mapping[str, Any]
    #: sourcedId, username or id that the person is shown by
    key: str = ""
    #: the person's name
    label: str = ""
    #: titles of the person's classes
    classes: tuple[str, ...] = ()
    last_sign_in: str | None = None


def find_erasure(workspace: Workspace, customer: CustomerId, key: str | None) -> Erasure | Certificate:
    """Return the erasure, or the certificate of an earlier one.

    Raises Refusal if no customer or person has the key, several do, or the one must not be erased (yet)."""
    with workspace.store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        if record is None:
            raise Refusal([describe_unknown_customer(customer, reader.read_customers())])
        if key is None:
            live = {slug for slug, each in reader.read_customers().items() if not each.tombstoned}
            return _build_customer_erasure(workspace, record, live)
        rows = _find_people(workspace, reader, record, key)
        if rows.height > 1:
            raise Refusal([_describe_ambiguous_key(workspace, record, rows)])
        if rows.height == 1:
            person = rows.row(0, named=True)
            _refuse_configured_person(workspace, record, person)
            return _build_person_erasure(workspace, reader, record, person)
        is_in_last_roster = _is_in_last_roster(reader, record, key)
    certificate = find_erasure_certificate(workspace.store, record.id, SourcedId(key))
    if is_in_last_roster:
        counts = count_person_rows(workspace.store, record.id, SourcedId(key))
        return Erasure(record.slug, record.id, SourcedId(key), counts, {}, key, key)
    if certificate is not None:
        return certificate
    raise Refusal(
        [
            build_error(
                "unknown-person",
                f"no active or deleted person of {record.slug} has this key",
                hint="Give a sourcedId, a username, or a pseudonym (P-…) from a report.",
            )
        ]
    )


def apply_erasure(workspace: Workspace, found: Erasure, request: str, lock_timeout: float = 0.0) -> Certificate:
    """Erase a person or customer, and the pages of interrupted fetches on this machine.

    Raises Refusal if the store changed since in a way that matters, or cannot be written."""
    now = clock.get_current_moment()
    job = ErasureJob(found.customer, found.customer_number, request, now, find_actor(), lock_timeout)
    if found.target is None:
        certificate = erase_customer(workspace.store, job)
    else:
        certificate = erase_person(workspace.store, job, found.target)
    delete_fetch_checkpoints()
    return certificate


def lift_erasure(workspace: Workspace, customer: CustomerId, sourced_id: SourcedId, request: str) -> Certificate:
    """Let a roster add an erased sourcedId again. Raises Refusal if nobody with this sourcedId was erased."""
    with workspace.store.open_reader() as reader:
        record = reader.read_customers().get(customer)
    certificate = (
        store_lift_erasure(
            workspace.store,
            ErasureJob(customer, record.id, request, clock.get_current_moment(), find_actor()),
            sourced_id,
        )
        if record
        else None
    )
    if certificate is None:
        raise Refusal(
            [
                build_error(
                    "not-erased",
                    f"no erased person of {customer} had this sourcedId",
                    hint="Give the sourcedId exactly as in the roster. Nothing else is known of erased people.",
                )
            ]
        )
    return certificate


def _is_id_wanted_by_another(workspace: Workspace, record: CustomerRecord, live: Set[CustomerId]) -> bool:
    """Return True if the files have the removed customer's id for an active one that is to be renamed to it."""
    resolved = workspace.repository.customers.get(record.slug)
    return record.tombstoned and resolved is not None and not live.isdisjoint(resolved.previously)


def _build_customer_erasure(workspace: Workspace, record: CustomerRecord, live: Set[CustomerId]) -> Erasure:
    if record.slug in list_declared_customers(workspace) and not _is_id_wanted_by_another(workspace, record, live):
        raise Refusal(
            [
                build_error(
                    "still-declared",
                    f"customers/ still has {record.slug}; nothing was erased",
                    hint="Delete the folder, apply and approve the removal, then erase.",
                )
            ]
        )
    if not record.tombstoned:
        raise Refusal(
            [
                build_error(
                    "still-live",
                    f"{record.slug} is still active in this store; nothing was erased",
                    hint="Apply its removal first. It waits for approval, and shows who would lose their account.",
                )
            ]
        )
    return Erasure(record.slug, record.id, None, count_customer_rows(workspace.store, record.id), {}, record.slug)


def _find_people(workspace: Workspace, reader: Reader, record: CustomerRecord, key: str) -> pl.DataFrame:
    """Return active and deleted accounts by sourcedId or alias, else by username, else by pseudonym."""
    users = read_users(reader.connection, record.id)
    listed = pl.col("aliases").str.split("\n").list.contains(key)
    bound = users.filter(((pl.col("sourced_id") == key) | listed).fill_null(False))
    if bound.height:
        return bound
    named = users.filter(
        pl.any_horizontal(
            make_caseless_column(users[name]) == make_caseless_form(key) for name in ("username", "roster_username")
        ).fill_null(False)
    )
    if named.height:
        # A merged account belongs to the person of the other one.
        own = named.filter(pl.col("merged_into").is_null())
        return own if own.height else named
    if not PSEUDONYM.fullmatch(key):
        return users.clear()
    store, wanted = workspace.store.key, key.upper()
    known = users.filter(pl.col("sourced_id").is_not_null())
    # An HMAC needs a loop over all people, so pseudonyms come last.
    masked = [
        any(key.make_pseudonym(Kind.USER, record.slug, each) == wanted for key in store.known)
        for each in known["sourced_id"]
    ]
    return known.filter(pl.Series(masked, dtype=pl.Boolean))


def _is_in_last_roster(reader: Reader, record: CustomerRecord, key: str) -> bool:
    """Return True if the last roster has a person without an account: a waiting or quarantined row."""
    people, waiting, quarantine = (
        reader.load_snapshot_part(record.id, part) for part in ("users", "waiting-users", "quarantine")
    )
    keys = [frame["sourced_id"] for frame in (people, waiting) if frame is not None]
    if quarantine is not None:
        keys.append(quarantine.filter(pl.col("kind") == Kind.USER.value)["key"])
    return any((each == key).fill_null(False).any() for each in keys)


def _build_person_erasure(
    workspace: Workspace, reader: Reader, record: CustomerRecord, person: Mapping[str, Any]
) -> Erasure:
    account = int(person["id"])
    ids = pl.Series([account], dtype=pl.Int64)
    signed_in = reader.read_last_sign_ins(ids)
    name = " ".join(str(person[part]) for part in ("given_name", "family_name") if person[part])
    return Erasure(
        record.slug,
        record.id,
        account,
        count_person_rows(workspace.store, record.id, account),
        person,
        key=str(person["sourced_id"] or person["username"] or account),
        label=name,
        classes=list_class_titles(workspace.store, account),
        last_sign_in=signed_in["at"][0] if signed_in.height else None,
    )


def _refuse_configured_person(workspace: Workspace, record: CustomerRecord, person: Mapping[str, Any]) -> None:
    with workspace.store.open_connection() as connection:
        is_administrator = is_configured_administrator(connection, int(person["id"]))
    document = record.document.get("rostering")
    rostering = document if isinstance(document, Mapping) else {}
    names = {person["sourced_id"], *str(person["aliases"] or "").split("\n")}
    merged = {name for each in rostering.get("merges") or () for name in (each["keep"], each["merge"])}
    if is_administrator:
        key = "administrators"
    elif names & merged:
        key = "rostering.merges"
    elif names & set(rostering.get("protect") or ()):
        key = "rostering.protect"
    else:
        return
    raise Refusal(
        [
            build_error(
                "still-declared",
                f"`{key}` of {record.slug} names this person; nothing was erased",
                hint=f"Remove the person from `{key}` and apply, then erase the person.",
            )
        ]
    )


def _describe_ambiguous_key(workspace: Workspace, record: CustomerRecord, rows: pl.DataFrame) -> Diagnostic:
    store = workspace.store.key
    names = ", ".join(
        f"{store.make_pseudonym(Kind.USER, record.slug, row['sourced_id'])} "
        f"({'deleted' if row['tombstoned'] else 'active'})"
        for row in rows.filter(pl.col("sourced_id").is_not_null()).iter_rows(named=True)
    )
    return build_error(
        "ambiguous-key",
        f"{rows.height} people of {record.slug} have this key; nobody was erased",
        hint=f"Name one by sourcedId or pseudonym: {names or 'none of them has a sourcedId'}",
    )
