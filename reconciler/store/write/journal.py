"""Save before-images of the rows that a run changes or deletes, so that the run can be undone.

`facts` has `run`, `customer` (None for the catalog) and the parameters of the SQL that is passed.
"""

import hashlib

from reconciler.model.change import Action
from reconciler.model.ids import RunId
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.key import StoreKey
from reconciler.store.read.image_digests import (
    BY_RUN,
    IMAGE_SCHEMA,
    IMAGES_SQL,
    PAGE_ROWS,
    digest_images,
    format_digest_lines,
)
from reconciler.store.read.image_sql import build_image_sql

#: The action of rows that follow an account into another one or back.
MERGE_ACTION = "merge"


def record_before_images(connection: Connection, kind: Kind, table: str, staged: str, facts: Parameters) -> None:
    """Save images of roster rows. staged: a temporary table with `live_id` and `action`.

    An account's image also has its sourcedId, its aliases and its roles by org, as `model.roster` writes them.
    """
    image = build_image_sql(connection.dialect, kind, table)
    _insert_images(connection, kind.value, "s.action", image, f"{staged} s JOIN {table} t ON t.id = s.live_id", facts)


def record_document(connection: Connection, kind: Kind, table: str, which: str, facts: Parameters) -> None:
    """Save the image of a customer, community or lesson. which: SQL condition on `t`. facts: also `action`."""
    image = build_image_sql(connection.dialect, kind, table)
    _insert_images(connection, kind.value, "CAST(:action AS TEXT)", image, f"{table} t WHERE {which}", facts)


def record_identities(connection: Connection, staged: str, facts: Parameters) -> None:
    """Save images of identities that move to another account, with the kind `identity`, which no plan has.

    staged: a temporary table with `identity_id`.
    """
    image = build_image_sql(connection.dialect, None, "identities")
    source = f"{staged} s JOIN identities t ON t.id = s.identity_id"
    _insert_images(connection, "identity", f"'{Action.MOVE.value}'", image, source, facts)


def record_moved_rows(connection: Connection, table: str, kind: str, staged: str, facts: Parameters) -> None:
    """Save images of rows that follow an account into another one or back. staged: a temporary table with `row_id`.

    kind: `assignment`, which no plan has, or `enrollment` or `identity`.
    """
    image = build_image_sql(connection.dialect, None, table)
    source = f"{staged} s JOIN {table} t ON t.id = s.row_id"
    _insert_images(connection, kind, f"'{MERGE_ACTION}'", image, source, facts)


def record_image_digests(connection: Connection, key: StoreKey, run: RunId) -> str:
    """Save the digests of a run's before-images and return them combined. Call after the last of them is saved."""
    which, last = f"{IMAGES_SQL} WHERE j.run_id = :run AND j.id > :last ORDER BY j.id LIMIT {PAGE_ROWS}", 0
    combined = hashlib.sha256()
    while not (images := connection.fetch_frame(which, IMAGE_SCHEMA, {"run": run, "last": last})).is_empty():
        digests = digest_images(images, key, BY_RUN)
        connection.insert_frame("image_digests", digests)
        combined.update(format_digest_lines(digests))
        last = images["entry_id"][-1]
    return combined.hexdigest()


def _insert_images(connection: Connection, kind: str, action: str, image: str, source: str, facts: Parameters) -> None:
    """Insert the images of rows `t`. action, image, source: SQL."""
    connection.execute(
        "INSERT INTO journal (run_id, customer_id, kind, row_id, action, before) SELECT CAST(:run AS BIGINT),"
        f" CAST(:customer AS BIGINT), '{kind}', t.id, {action}, {image} FROM {source}",
        facts,
    )
