"""Create invitations: links with which an administrator chooses a password. The store has only a token's hash."""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from reconciler.clock import get_current_moment
from reconciler.model.ids import CustomerId, Moment
from reconciler.model.moment import format_moment
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import lock_customer
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.read.administrators import read_administrators

INVITATION_LIFETIME = timedelta(days=14)
TOKEN_BYTES = 32


def create_invitation(connection: Connection, account: int, now: Moment) -> str:
    """Return the path of the page on which the person chooses a password; the token in it is not stored."""
    token = randomness.token_urlsafe(TOKEN_BYTES)
    expires = datetime.fromisoformat(now).astimezone(UTC) + INVITATION_LIFETIME
    connection.execute(
        "INSERT INTO invitations (account_id, token_hash, created_at, expires_at)"
        " VALUES (:account, :token_hash, :now, :expires)",
        {
            "account": account,
            "token_hash": hashlib.sha256(token.encode()).hexdigest(),
            "now": now,
            "expires": format_moment(expires),
        },
    )
    return f"/invitation/{token}"


def renew_invitation(
    store: Store, customer: CustomerId, username: str, hand_over: Callable[[str], object], lock_timeout: float
) -> None:
    """Replace the unused invitations of an administrator by a new one.

    hand_over: called with the path of the page before the transaction commits; if it raises, nothing is changed.
    lock_timeout: seconds to wait for an apply of the customer. Raises StoreProblem: `unknown-customer`,
    `unknown-administrator`, or if the store is locked or refuses."""
    with lock_customer(store.dialect, customer, lock_timeout) as connection, connection.open_write_transaction():
        number = connection.fetch_scalar(
            "SELECT id FROM customers WHERE slug = :slug AND tombstoned_at IS NULL", {"slug": customer}
        )
        if number is None:
            raise StoreProblem(
                "unknown-customer", f"customer {customer} is not in the store", "Apply the customer first."
            )
        account = read_administrators(connection, number).get(username)
        if account is None or account.tombstoned:
            # The name is not repeated: it may be a person's, and this may end up in a log.
            raise StoreProblem(
                "unknown-administrator",
                f"{customer} has no administrator with this username in the store",
                f"Usernames are in administrators: of the customer. To create the accounts, run: "
                f"reconciler apply {customer}",
            )
        connection.execute(
            "DELETE FROM invitations WHERE account_id = :account AND used_at IS NULL", {"account": account.id}
        )
        hand_over(create_invitation(connection, account.id, get_current_moment()))
