"""A customer under another id: the same row, and whatever is kept under the id's name follows it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.change import Change, get_former_key
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.sync.held_plans import delete_held_plans
from reconciler.store.write.rows import WriteContext

#: What begins with the customer's id and this: table, column, what stands between.
ID_PREFIX_COLUMNS = (("issuers", "name", "/"), ("holds", "hold_id", ":"))


def find_former_id(changes: Iterable[Change]) -> str | None:
    """The id that the customer of these changes has until now; None where it keeps its id."""
    return next((get_former_key(change) for change in changes if change.kind is Kind.CUSTOMER), None)


def refuse_taken_id(connection: Connection, slug: str) -> None:
    """Raises StoreProblem where another customer has the id still: its own rename was not applied, or failed."""
    if connection.fetch_scalar("SELECT count(*) FROM customers WHERE slug = :slug", {"slug": slug}):
        raise StoreProblem(
            "id-taken",
            f"another customer has the id {slug} still; nothing was changed",
            "Apply that customer under its own new id first, then plan again.",
        )


def rename_customer(context: WriteContext, former_id: str) -> None:
    """What is known by the former id: who knows its people, what it holds, its secrets' traces. A plan kept for what it
    holds is of the former id from end to end, and goes: what is held waits on, and the next sync keeps a plan anew."""
    delete_held_plans(context.connection, context.customer_number)
    for table, column, mark in ID_PREFIX_COLUMNS:
        context.connection.execute(
            f"UPDATE {table} SET {column} = CAST(:slug AS TEXT) || substr({column}, {len(former_id) + 1})"
            f" WHERE customer_id = :customer AND substr({column}, 1, {len(former_id) + 1}) = :former",
            {**context.facts, "slug": context.slug, "former": f"{former_id}{mark}"},
        )
    _rewrite_secrets(context, former_id)


def _rewrite_secrets(context: WriteContext, former_id: str) -> None:
    """A secret's trace fits its customer's id alone. What the store holds encrypted is sealed under the new one; of
    what it has an HMAC of alone nothing is left, until its value is given."""
    connection = context.connection
    kept = connection.fetch_rows(
        "SELECT path, ciphertext FROM secrets WHERE customer_id = :customer ORDER BY path", context.facts
    )
    for path, ciphertext in kept:
        facts = {**context.facts, "path": path}
        if ciphertext is None:
            connection.execute("DELETE FROM secrets WHERE customer_id = :customer AND path = :path", facts)
            continue
        value = context.key.decrypt(bytes(ciphertext), f"{former_id}/{path}")
        connection.execute(
            "UPDATE secrets SET hmac = :digest, ciphertext = :sealed WHERE customer_id = :customer AND path = :path",
            {
                **facts,
                "digest": context.key.compute_secret_hmac(context.slug, path, value),
                "sealed": context.key.encrypt(value, f"{context.slug}/{path}"),
            },
        )
