"""A customer under another id: the same row, and whatever is kept under the id's name follows it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.change import Change, renamed_from
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.sync.held_plans import forget_held_plans
from reconciler.store.write.rows import Writing

#: What begins with the customer's id and this: table, column, what stands between.
NAMED_AFTER_IT = (("issuers", "name", "/"), ("holds", "hold_id", ":"))


def former_id(declared: Iterable[Change]) -> str | None:
    """The id that the customer of these changes has until now; None where it keeps its id."""
    return next((renamed_from(change) for change in declared if change.kind is Kind.CUSTOMER), None)


def refuse_taken(connection: Connection, slug: str) -> None:
    """Raises StoreProblem where another customer has the id still: its own rename was not applied, or failed."""
    if connection.scalar("SELECT count(*) FROM customers WHERE slug = :slug", {"slug": slug}):
        raise StoreProblem(
            "id-taken",
            f"another customer has the id {slug} still; nothing was changed",
            "Apply that customer under its own new id first, then plan again.",
        )


def rename_customer(writing: Writing, former: str) -> None:
    """What is known by the former id: who knows its people, what it holds, its secrets' traces. A plan kept for what it
    holds is of the former id from end to end, and goes: what is held waits on, and the next sync keeps a plan anew."""
    forget_held_plans(writing.connection, writing.customer)
    for table, column, mark in NAMED_AFTER_IT:
        writing.connection.execute(
            f"UPDATE {table} SET {column} = CAST(:slug AS TEXT) || substr({column}, {len(former) + 1})"
            f" WHERE customer_id = :customer AND substr({column}, 1, {len(former) + 1}) = :former",
            {**writing.facts, "slug": writing.slug, "former": f"{former}{mark}"},
        )
    _seal_again(writing, former)


def _seal_again(writing: Writing, former: str) -> None:
    """A secret's trace fits its customer's id alone. What the store holds encrypted is sealed under the new one; of
    what it has an HMAC of alone nothing is left, until its value is given."""
    connection = writing.connection
    kept = connection.rows(
        "SELECT path, ciphertext FROM secrets WHERE customer_id = :customer ORDER BY path", writing.facts
    )
    for path, ciphertext in kept:
        facts = {**writing.facts, "path": path}
        if ciphertext is None:
            connection.execute("DELETE FROM secrets WHERE customer_id = :customer AND path = :path", facts)
            continue
        value = writing.key.decrypt(bytes(ciphertext), f"{former}/{path}")
        connection.execute(
            "UPDATE secrets SET hmac = :digest, ciphertext = :sealed WHERE customer_id = :customer AND path = :path",
            {
                **facts,
                "digest": writing.key.secret_hmac(writing.slug, path, value),
                "sealed": writing.key.encrypt(value, f"{writing.slug}/{path}"),
            },
        )
