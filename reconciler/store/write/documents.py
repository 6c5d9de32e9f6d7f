"""Write a customer's document, communities and lessons, or the catalog's lessons."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.model.change import Change, Create, Delete, get_action, get_former_key
from reconciler.model.ids import CustomerId, CustomerNumber, Moment, RunId
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.write.journal import record_document

#: Kind -> (table, the key of a document's own name, which is also the column's name).
DOCUMENT_TABLES = {Kind.COMMUNITY: ("communities", "name"), Kind.LESSON: ("lessons", "title")}

Settings = Mapping[str, Any]


def create_customer(connection: Connection, slug: CustomerId, run: RunId, settings: Settings) -> CustomerNumber:
    """Create a customer and return its number. A trigger creates its write counter."""
    connection.execute(
        "INSERT INTO customers"
        " (slug, name, status, document, written, settings_digest, span_file, span_line, created_run)"
        " VALUES (:slug, :name, :status, :document, :document, :digest, :file, :line, :run)",
        {**_build_customer_values(slug, settings), "slug": slug, "run": run},
    )
    return CustomerNumber(int(connection.fetch_scalar("SELECT id FROM customers WHERE slug = :slug", {"slug": slug})))


def write_customer(
    connection: Connection, slug: CustomerId, customer_number: CustomerNumber, settings: Settings
) -> None:
    """Update or restore a customer. slug: its ID after the change."""
    facts = {**_build_customer_values(slug, settings), "slug": slug, "customer": customer_number}
    # The triggers recognize reconciler's own writes by a changed digest, but a changed secret leaves it as it was.
    connection.execute("UPDATE customers SET settings_digest = NULL WHERE id = :customer", facts)
    connection.execute(
        "UPDATE customers SET slug = :slug, name = :name, status = :status, document = :document, written = :document,"
        " settings_digest = :digest, span_file = :file, span_line = :line, tombstoned_at = NULL WHERE id = :customer",
        facts,
    )


def _build_customer_values(slug: CustomerId, settings: Settings) -> dict[str, Any]:
    document = settings["customer"]
    file, line = _find_origin(settings, Kind.CUSTOMER, slug)
    return {
        "name": document["name"],
        "status": document.get("status", "active"),
        "document": dump_sorted_json(document),
        "digest": settings["digest"],
        "file": file,
        "line": line,
    }


def entomb_customer(connection: Connection, customer_number: CustomerNumber, now: Moment) -> None:
    connection.execute(
        "UPDATE customers SET settings_digest = NULL, tombstoned_at = :now WHERE id = :customer",
        {"customer": customer_number, "now": now},
    )


def write_documents(
    connection: Connection,
    customer_number: CustomerNumber | None,
    changes: Iterable[Change],
    settings: Settings,
    facts: Parameters,
) -> None:
    """Write communities and lessons. customer_number: None for the catalog. facts: `run` and `now`."""
    written = [change for change in changes if change.kind is not Kind.CUSTOMER]
    owner = "customer_id = :customer" if customer_number is not None else "customer_id IS NULL"
    facts = {**facts, "customer": customer_number}
    for change in written:
        if not isinstance(change, Create):
            _record_document_change(connection, owner, change, facts)
    for change in written:
        table, label = DOCUMENT_TABLES[change.kind]
        values = {**facts, "slug": change.key, "held": _choose_interim_id(change)}
        if isinstance(change, Delete):
            connection.execute(
                f"UPDATE {table} SET tombstoned_at = :now, origin_run = :run WHERE {owner} AND slug = :held", values
            )
            continue
        document = settings[change.kind.plural][change.key]
        file, line = _find_origin(settings, change.kind, change.key)
        values |= {"label": document[label], "document": dump_sorted_json(document), "file": file, "line": line}
        if isinstance(change, Create):
            connection.execute(
                f"INSERT INTO {table} (customer_id, slug, {label}, document, written, origin_file, origin_line,"
                " origin_run, created_run) VALUES (:customer, :slug, :label, :document, :document, :file, :line, :run,"
                " :run)",
                values,
            )
        else:
            connection.execute(
                f"UPDATE {table} SET slug = :slug, {label} = :label, document = :document, written = :document,"
                " origin_file = :file, origin_line = :line, origin_run = :run, tombstoned_at = NULL"
                f" WHERE {owner} AND slug = :held",
                values,
            )


def _record_document_change(connection: Connection, owner: str, change: Change, facts: Parameters) -> None:
    """Save the before-image of a change; of a rename, also free the ID at once, as another document may get it."""
    table, _ = DOCUMENT_TABLES[change.kind]
    former = get_former_key(change)
    values = {**facts, "slug": former or change.key, "held": _choose_interim_id(change)}
    which = f"t.{owner} AND t.slug = :slug"
    record_document(connection, change.kind, table, which, {**values, "action": get_action(change).value})
    if former is not None:
        # The triggers recognize reconciler's own writes by a changed run, here and when the row gets its final ID.
        connection.execute(
            f"UPDATE {table} SET slug = :held, origin_run = -:run WHERE {owner} AND slug = :slug", values
        )


def _choose_interim_id(change: Change) -> str:
    """Return the ID that the row has when it is written; `@` is in no document's own ID."""
    former = get_former_key(change)
    return change.key if former is None else f"@{former}"


def _find_origin(settings: Settings, kind: Kind, name: str) -> tuple[str | None, int]:
    file, line = settings.get("origins", {}).get(f"{kind}/{name}", (None, 0))
    return file, line
