"""Read the accounts of the administrators that a customer's YAML made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.ids import CustomerNumber
from reconciler.store.database.connection import Connection


@dataclass(frozen=True, slots=True)
class AdministratorAccount:
    id: int
    tombstoned: bool
    #: False until the person chose a password
    has_password: bool


def read_administrators(connection: Connection, customer: CustomerNumber) -> Mapping[str, AdministratorAccount]:
    """Return a customer's administrators by username, deleted ones included."""
    rows = connection.fetch_rows(
        "SELECT i.subject, a.id, a.tombstoned_at, a.password_hash FROM identities i JOIN accounts a"
        " ON a.id = i.account_id JOIN issuers x ON x.id = i.issuer_id"
        " WHERE x.kind = 'config' AND i.customer_id = :customer",
        {"customer": customer},
    )
    return {
        username: AdministratorAccount(account, tombstoned is not None, password is not None)
        for username, account, tombstoned, password in rows
    }


def count_invitations(
    administrators: Mapping[str, Mapping[str, object]], accounts: Mapping[str, AdministratorAccount]
) -> int:
    """Return how many invitations an apply of these administrators makes: one for each new or restored person who has
    no password.

    administrators: of the customer's document, by username."""
    new = [person for username, person in administrators.items() if username not in accounts]
    restored = [accounts[username] for username in administrators if username in accounts]
    return sum("password" not in person for person in new) + sum(
        account.tombstoned and not account.has_password for account in restored
    )
