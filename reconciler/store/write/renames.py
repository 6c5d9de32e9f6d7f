"""Rename a customer: its row stays, and issuers, holds and secrets get the new ID."""

from collections.abc import Iterable

from reconciler.model.change import Change, get_former_key
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.sync.held_plans import delete_held_plans
from reconciler.store.write.rows import WriteContext

#: (table, column, separator) of values that begin with the customer's ID.
ID_PREFIX_COLUMNS = (("issuers", "name", "/"), ("holds", "hold_id", ":"))


def find_former_id(changes: Iterable[Change]) -> CustomerId | None:
    """Return the customer's ID before these changes if they rename it, else None."""
    former = next((get_former_key(change) for change in changes if change.kind is Kind.CUSTOMER), None)
    return None if former is None else CustomerId(former)


def refuse_taken_id(connection: Connection, slug: CustomerId) -> None:
    """Raise StoreProblem `id-taken` if another customer still has the ID, because its own rename was not applied."""
    if connection.fetch_scalar("SELECT count(*) FROM customers WHERE slug = :slug", {"slug": slug}):
        raise StoreProblem(
            "id-taken",
            f"another customer still has the ID {slug}; nothing was changed",
            "Apply that customer's own rename first, then make a new plan.",
        )


def rename_customer(context: WriteContext, former_id: CustomerId) -> None:
    """Replace the former ID in issuers, holds and secrets.

    Deletes the customer's held plan, which contains the former ID throughout; the hold stays, and the next sync saves a
    new plan.
    """
    delete_held_plans(context.connection, context.customer_number)
    for table, column, mark in ID_PREFIX_COLUMNS:
        context.connection.execute(
            f"UPDATE {table} SET {column} = CAST(:slug AS TEXT) || substr({column}, {len(former_id) + 1})"
            f" WHERE customer_id = :customer AND substr({column}, 1, {len(former_id) + 1}) = :former",
            {**context.facts, "slug": context.slug, "former": f"{former_id}{mark}"},
        )
    _rewrite_secrets(context, former_id)


def _rewrite_secrets(context: WriteContext, former_id: CustomerId) -> None:
    """Bind encrypted secrets to the new ID, and delete those of which the store has only an HMAC: it depends on the ID,
    and needs the value to be computed again.
    """
    connection = context.connection
    rows = connection.fetch_rows(
        "SELECT path, ciphertext, key_id FROM secrets WHERE customer_id = :customer ORDER BY path", context.facts
    )
    for path, ciphertext, key_id in rows:
        facts = {**context.facts, "path": path}
        if ciphertext is None:
            connection.execute("DELETE FROM secrets WHERE customer_id = :customer AND path = :path", facts)
            continue
        value = context.key.find(key_id).decrypt(bytes(ciphertext), f"{former_id}/{path}")
        connection.execute(
            "UPDATE secrets SET hmac = :digest, ciphertext = :sealed, key_id = :key"
            " WHERE customer_id = :customer AND path = :path",
            {
                **facts,
                "digest": context.key.compute_secret_hmac(context.slug, path, value),
                "key": context.key.id,
                "sealed": context.key.encrypt(value, f"{context.slug}/{path}"),
            },
        )
