"""Read which customer has, or lately had, the consumer key of an LMS."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.ids import CustomerId, CustomerNumber, Moment
from reconciler.store.database.connection import Connection

OWNERS_SQL = """
SELECT p.consumer_key, p.customer_id, c.slug, p.reserved_until FROM lti_platforms p
LEFT JOIN customers c ON c.id = p.customer_id WHERE (p.reserved_until IS NULL OR p.reserved_until > :now)
"""


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The customer that has a consumer key, or lately had it."""

    customer_number: CustomerNumber
    #: None if the customer was purged or erased
    slug: CustomerId | None
    #: when another customer may have the key; None while it is in use
    reserved_until: Moment | None

    def __str__(self) -> str:
        """Return a predicate of the key, for messages."""
        if self.reserved_until is None:
            return f"is also used by {self.slug}"
        former = self.slug or "a customer that no longer exists"
        return f"was used by {former}, and is reserved until {self.reserved_until[:10]}"


def read_key_owners(connection: Connection, now: Moment) -> dict[str, list[KeyOwner]]:
    """Return the owners of each consumer key that is in use or reserved."""
    owners: dict[str, list[KeyOwner]] = {}
    for key, *owner in connection.fetch_rows(f"{OWNERS_SQL} ORDER BY p.consumer_key, p.customer_id", {"now": now}):
        owners.setdefault(key, []).append(KeyOwner(*owner))
    return owners


def find_other_key_owner(
    connection: Connection, customer_number: CustomerNumber, key: str, now: Moment
) -> KeyOwner | None:
    """Return another customer that has or lately had the key, or None."""
    row = connection.fetch_row(
        f"{OWNERS_SQL} AND p.consumer_key = :key AND p.customer_id <> :customer"
        " ORDER BY p.reserved_until IS NOT NULL, p.reserved_until DESC LIMIT 1",
        {"now": now, "key": key, "customer": customer_number},
    )
    return KeyOwner(*row[1:]) if row else None


def iter_platforms(document: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the (ID, platform) pairs of a customer's document as stored, without those that have no consumer key."""
    lti = document.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, Mapping) else None
    for name, platform in platforms.items() if isinstance(platforms, Mapping) else ():
        if isinstance(platform, Mapping) and isinstance(platform.get("consumer_key"), str):
            yield name, platform
