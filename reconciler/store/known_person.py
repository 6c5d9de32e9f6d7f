"""Everything a store knows one person by: what must be found to remove it everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from reconciler.model.kind import Kind
from reconciler.store.connection import Connection
from reconciler.store.roster_frames import ROSTER_ISSUER

#: An account, those that it went into, and all that went into one of them.
ACCOUNTS_SQL = """
WITH RECURSIVE theirs (id) AS (
    SELECT CAST(:account AS BIGINT)
    UNION
    SELECT CASE WHEN a.id = t.id THEN a.merged_into ELSE a.id END
    FROM theirs t JOIN accounts a ON a.id = t.id OR a.merged_into = t.id
    WHERE a.customer_id = :customer AND a.merged_into IS NOT NULL
)
SELECT id FROM theirs ORDER BY id
"""

#: What says who somebody is, of an account and of its images.
TELLING = ("username", "roster_username", "email", "identifier")
#: A shorter value is a part of too many words to be looked for in a sentence.
SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """accounts: ids; none of somebody of whom only the last roster knows, several where they were merged. sourced_ids:
    the roster's, those of today and of earlier. values: usernames, e-mail addresses and identifiers, of today and of
    earlier. enrollments: ids, with `enrollment_keys`, their sourcedIds."""

    accounts: pl.Series
    sourced_ids: tuple[str, ...]
    values: tuple[str, ...]
    enrollments: pl.Series
    enrollment_keys: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """A pattern of everything that names this person in a text; matches nothing where there is nothing."""
        known = sorted({each for each in (*self.sourced_ids, *self.values) if len(each) >= SHORTEST_WORD})
        return rf"(?i)(?:^|\W)(?:{'|'.join(map(re.escape, known))})(?:\W|$)" if known else r"[^\s\S]"


def known_person(connection: Connection, customer: int, account: int) -> KnownPerson:
    """Of one account of the customer, live or deleted, with all accounts that went into it: they are the same person's,
    and so is the one that it went into."""
    facts = {"customer": customer, "account": account}
    accounts = connection.frame(ACCOUNTS_SQL, {"id": pl.Int64}, facts)["id"]
    theirs = f"IN ({', '.join(map(str, accounts))})"
    subjects = [
        str(subject)
        for (subject,) in connection.rows(
            f"SELECT i.subject FROM identities i WHERE i.account_id {theirs} AND +i.issuer_id = {ROSTER_ISSUER}",
            facts,
        )
    ]
    now = connection.rows(f"SELECT {', '.join(TELLING)} FROM accounts WHERE id {theirs}")
    images = list(_images(connection, theirs))
    for image in images:
        subjects += [image["sourced_id"]] if image.get("sourced_id") else []
        subjects += [alias for alias in str(image.get("aliases") or "").split("\n") if alias]
    values = [*(value for row in now for value in row), *(image.get(name) for image in images for name in TELLING)]
    enrollments = connection.frame(
        f"SELECT id, sourced_id FROM enrollments WHERE account_id {theirs} AND +customer_id = :customer ORDER BY id",
        {"id": pl.Int64, "sourced_id": pl.String},
        facts,
    )
    return KnownPerson(
        accounts,
        tuple(sorted(set(subjects))),
        tuple(sorted({str(value) for value in values if value})),
        enrollments["id"],
        tuple(enrollments["sourced_id"].to_list()),
    )


def unbound_person(sourced_id: str) -> KnownPerson:
    """Of somebody whom no account has."""
    none = pl.Series([], dtype=pl.Int64)
    return KnownPerson(none, (sourced_id,), (), none)


def _images(connection: Connection, theirs: str) -> Iterator[Mapping[str, Any]]:
    for (before,) in connection.rows(
        f"SELECT before FROM journal WHERE kind = '{Kind.USER.value}' AND row_id {theirs}"
    ):
        yield orjson.loads(before)
