"""Write a customer's LTI platforms, so that each consumer key belongs to one customer and stays reserved for it."""

from collections.abc import Mapping
from datetime import timedelta

from reconciler.model.ids import Moment
from reconciler.model.moment import add_span, parse_duration
from reconciler.store.errors import StoreProblem
from reconciler.store.json_text import parse_stored_document
from reconciler.store.read.platforms import find_other_key_owner, iter_platforms
from reconciler.store.write.rows import WriteContext

#: How long a key stays reserved if the customer's document, such as one without a roster, names no retention.
DEFAULT_RESERVATION = timedelta(days=30)


def save_platforms(context: WriteContext, document: Mapping[str, object]) -> None:
    """Write the platforms of a customer's new document. Call before the document is written: the former one says for
    how long keys that are no longer used stay reserved.

    document: empty for a customer that is removed. Raises StoreProblem `consumer-key-taken` if another customer has a
    key, or had it until lately."""
    connection, facts = context.connection, context.facts
    _reserve_keys(context)
    for name, platform in iter_platforms(document):
        key = platform["consumer_key"]
        owner = find_other_key_owner(connection, context.customer_number, key, context.now)
        if owner is not None:
            raise StoreProblem(
                "consumer-key-taken",
                f"{context.slug}: the consumer_key of platform {name} {owner}; nothing was changed",
                "Use another key, and set it in the LMS.",
            )
        values = {**facts, "key": key, "platform": name, "community": platform.get("community")}
        connection.execute("DELETE FROM lti_platforms WHERE customer_id = :customer AND consumer_key = :key", values)
        connection.execute(
            "INSERT INTO lti_platforms (customer_id, consumer_key, platform, community)"
            " VALUES (:customer, :key, :platform, :community)",
            values,
        )


def _reserve_keys(context: WriteContext) -> None:
    """Reserve all keys of the customer, and forget reservations that ended, of any customer."""
    text = context.connection.fetch_scalar("SELECT document FROM customers WHERE id = :customer", context.facts)
    values = {**context.facts, "until": _find_reservation_end(text, context.now)}
    context.connection.execute(
        "UPDATE lti_platforms SET reserved_until = :until WHERE customer_id = :customer AND reserved_until IS NULL",
        values,
    )
    context.connection.execute("DELETE FROM lti_platforms WHERE reserved_until <= :now", values)


def _find_reservation_end(text: str, now: Moment) -> Moment:
    rostering = (parse_stored_document(text) or {}).get("rostering")
    retention = rostering.get("retention") if isinstance(rostering, Mapping) else None
    return add_span(now, (isinstance(retention, str) and parse_duration(retention)) or DEFAULT_RESERVATION)
