"""`erase`: a person, or a whole removed customer, goes for good at somebody's request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.kind import Kind
from reconciler.operations.actor import find_actor
from reconciler.operations.fetch.fetching import delete_fetch_checkpoints
from reconciler.operations.purge import is_customer_declared
from reconciler.operations.workspace import Workspace
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord
from reconciler.store.read.roster_frames import read_users
from reconciler.store.removal import erasure
from reconciler.store.removal.certificates import Certificate
from reconciler.store.removal.erasure import ErasureJob

PSEUDONYM = re.compile(r"P-[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Erasure:
    """What would go. customer_id: the store's. who: an account's id, the sourcedId of somebody of whom only the last
    roster knows, None for the whole customer. counts: rows by table. person: the account's fields, empty without one.
    key: what the person is shown by; label: their name. classes: titles of the classes that they are in."""

    customer: str
    customer_number: int
    target: int | str | None
    counts: Mapping[str, int]
    person: Mapping[str, Any]
    key: str = ""
    label: str = ""
    classes: tuple[str, ...] = ()
    last_sign_in: str | None = None


def find_erasure(workspace: Workspace, customer: str, key: str | None) -> Erasure | Certificate:
    """The erasure, or the certificate of one that was done before. Raises Refusal where there is no such customer or
    person, more than one, or one that must not be erased (yet)."""
    with workspace.store.open_reader() as reader:
        record = reader.read_customers().get(customer)
        if record is None:
            known = ", ".join(reader.read_customers()) or "none"
            raise Refusal(
                [build_error("unknown-customer", f"no customer is called {customer}", hint=f"known are {known}")]
            )
        if key is None:
            return _build_customer_erasure(workspace, record)
        rows = _find_people(workspace, reader, record, key)
        if rows.height > 1:
            raise Refusal([_describe_ambiguous_key(workspace, record, rows)])
        if rows.height == 1:
            person = rows.row(0, named=True)
            _refuse_configured_person(workspace, record, person)
            return _build_person_erasure(workspace, reader, record, person)
        named = _is_in_last_roster(reader, record, key)
    before = erasure.find_erasure_certificate(workspace.store, record.id, key)
    if named:
        counts = erasure.count_person_rows(workspace.store, record.id, key)
        return Erasure(record.slug, record.id, key, counts, {}, key, key)
    if before is not None:
        return before
    raise Refusal(
        [
            build_error(
                "unknown-person",
                f"nobody of {record.slug} is known by this key, live or deleted",
                hint="KEY is a sourcedId, a username, or a pseudonym (P-…) of a report",
            )
        ]
    )


def apply_erasure(workspace: Workspace, found: Erasure, request: str, lock_timeout: float = 0.0) -> Certificate:
    """With the pages that fetches left behind on this machine. Raises Refusal where the store changed since in a way
    that matters, or cannot be written."""
    now = clock.get_current_moment()
    job = ErasureJob(found.customer, found.customer_number, request, now, find_actor(), lock_timeout)
    if found.target is None:
        certificate = erasure.erase_customer(workspace.store, job)
    else:
        certificate = erasure.erase_person(workspace.store, job, found.target)
    delete_fetch_checkpoints()
    return certificate


def lift_erasure(workspace: Workspace, customer: str, sourced_id: str, request: str) -> Certificate:
    """Raises Refusal where nobody of this sourcedId was erased."""
    with workspace.store.open_reader() as reader:
        record = reader.read_customers().get(customer)
    certificate = (
        erasure.lift_erasure(
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
                    f"nobody of {customer} who was erased had this sourcedId",
                    hint="--lift takes the sourcedId as it stands in the roster: nothing else is known of them",
                )
            ]
        )
    return certificate


def _build_customer_erasure(workspace: Workspace, record: CustomerRecord) -> Erasure:
    if is_customer_declared(workspace, record.slug):
        raise Refusal(
            [
                build_error(
                    "still-declared",
                    f"customers/ still has {record.slug}; nothing was erased",
                    hint="remove its folder, apply that (the removal waits for approval), then erase it",
                )
            ]
        )
    if not record.tombstoned:
        raise Refusal(
            [
                build_error(
                    "still-live",
                    f"{record.slug} is still live in this store; nothing was erased",
                    hint="apply its removal first; it waits for approval, and says who would lose their account",
                )
            ]
        )
    return Erasure(
        record.slug, record.id, None, erasure.count_customer_rows(workspace.store, record.id), {}, record.slug
    )


def _find_people(workspace: Workspace, reader: Reader, record: CustomerRecord, key: str) -> pl.DataFrame:
    """Accounts, live or deleted, by sourcedId or alias; else by username, where a live one comes first; else by
    pseudonym."""
    users = read_users(reader.connection, record.id)
    listed = pl.col("aliases").str.split("\n").list.contains(key)
    bound = users.filter(((pl.col("sourced_id") == key) | listed).fill_null(False))
    if bound.height:
        return bound
    named = users.filter(
        pl.any_horizontal(
            pl.col(name).str.to_lowercase() == key.lower() for name in ("username", "roster_username")
        ).fill_null(False)
    )
    if named.height:
        # Who went into another account is that person.
        own = named.filter(pl.col("merged_into").is_null())
        return own if own.height else named
    if not PSEUDONYM.fullmatch(key):
        return users.clear()
    store, wanted = workspace.store.key, key.upper()
    known = users.filter(pl.col("sourced_id").is_not_null())
    # No set operation makes an HMAC; it is asked only for a pseudonym.
    masked = [store.make_pseudonym(Kind.USER, record.slug, each) == wanted for each in known["sourced_id"]]
    return known.filter(pl.Series(masked, dtype=pl.Boolean))


def _is_in_last_roster(reader: Reader, record: CustomerRecord, key: str) -> bool:
    """Whether the last roster names somebody whom no account has: a row that waits, or was set aside."""
    people, aside = reader.load_snapshot_part(record.id, "users"), reader.load_snapshot_part(record.id, "quarantine")
    waiting = reader.load_snapshot_part(record.id, "waiting-users")
    found = [frame["sourced_id"] for frame in (people, waiting) if frame is not None]
    if aside is not None:
        found.append(aside.filter(pl.col("kind") == Kind.USER.value)["key"])
    return any((each == key).fill_null(False).any() for each in found)


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
        erasure.count_person_rows(workspace.store, record.id, account),
        person,
        key=str(person["sourced_id"] or person["username"] or account),
        label=name,
        classes=erasure.list_class_titles(workspace.store, account),
        last_sign_in=signed_in["at"][0] if signed_in.height else None,
    )


def _refuse_configured_person(workspace: Workspace, record: CustomerRecord, person: Mapping[str, Any]) -> None:
    with workspace.store.open_connection() as connection:
        administrator = erasure.is_configured_administrator(connection, int(person["id"]))
    if administrator:
        raise Refusal(
            [
                build_error(
                    "still-declared",
                    f"this is an administrator whom the configuration of {record.slug} names; nothing was erased",
                    hint="remove them from `administrators` and apply, then erase them",
                )
            ]
        )
    rostering = record.document.get("rostering")
    protect = rostering.get("protect", ()) if isinstance(rostering, Mapping) else ()
    merges = rostering.get("merges", ()) if isinstance(rostering, Mapping) else ()
    names = {person["sourced_id"], *str(person["aliases"] or "").split("\n")}
    if any(names & {each["keep"], each["merge"]} for each in merges or ()):
        raise Refusal(
            [
                build_error(
                    "still-declared",
                    f"`rostering.merges` of {record.slug} names this person; nothing was erased",
                    hint="take the entry out of `merges` and apply, then erase the person",
                )
            ]
        )
    if names & set(protect or ()):
        raise Refusal(
            [
                build_error(
                    "still-declared",
                    f"`rostering.protect` of {record.slug} names this person; nothing was erased",
                    hint="take the sourcedId out of `protect` and apply, then erase the person",
                )
            ]
        )


def _describe_ambiguous_key(workspace: Workspace, record: CustomerRecord, rows: pl.DataFrame) -> Diagnostic:
    store = workspace.store.key
    names = ", ".join(
        f"{store.make_pseudonym(Kind.USER, record.slug, row['sourced_id'])} "
        f"({'deleted' if row['tombstoned'] else 'live'})"
        for row in rows.filter(pl.col("sourced_id").is_not_null()).iter_rows(named=True)
    )
    return build_error(
        "ambiguous-key",
        f"{rows.height} people of {record.slug} are known by this key; nobody was erased",
        hint=f"name one by sourcedId or pseudonym: {names or 'none of them has a sourcedId'}",
    )
