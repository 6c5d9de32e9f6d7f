"""Save the digests of before-images that a removal changes, or that an earlier version recorded without them."""

import polars as pl

from reconciler.model.ids import Moment
from reconciler.model.plan import ALL_CUSTOMERS
from reconciler.store.address import parse_store_url
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.key import StoreKey
from reconciler.store.open import create_dialect
from reconciler.store.read.image_digests import (
    IMAGE_SCHEMA,
    IMAGES_SQL,
    PAGE_ROWS,
    PENDING,
    RUN_ENTRY,
    UNSEALED_RUNS_SQL,
    digest_images,
    digest_runs,
)
from reconciler.store.removal.certificates import Certificate, CertificateKind, issue_certificate

#: Before-images of runs that a certificate under way seals.
UNSEALED_IMAGES_SQL = f"""
{IMAGES_SQL} JOIN image_digests r ON r.certificate_id = {PENDING} AND r.entry_id = {RUN_ENTRY} AND r.run_id = j.run_id
WHERE j.id > :last AND NOT EXISTS (SELECT 1 FROM image_digests d WHERE d.entry_id = j.id AND d.run_id = j.run_id)
ORDER BY j.id LIMIT {PAGE_ROWS}
"""


def record_cleared_image(connection: Connection, entry: int) -> None:
    """Note that a removal changed a before-image. Its digest follows by `digest_cleared_images`."""
    connection.execute(
        "INSERT INTO image_digests (certificate_id, run_id, entry_id)"
        f" SELECT {PENDING}, run_id, id FROM journal WHERE id = :entry",
        {"entry": entry},
    )


def digest_cleared_images(connection: Connection, key: StoreKey) -> None:
    """Save the digests of the before-images that this transaction changed. Call before it deletes any."""
    changed = connection.fetch_frame(
        f"{IMAGES_SQL} JOIN image_digests d ON d.certificate_id = {PENDING} AND d.entry_id = j.id", IMAGE_SCHEMA
    )
    connection.execute(f"DELETE FROM image_digests WHERE certificate_id = {PENDING}")
    if not changed.is_empty():
        connection.insert_frame("image_digests", digest_images(changed, key, PENDING))


def seal_earlier_images(url: str, key: StoreKey, now: Moment, actor: str) -> Certificate | None:
    """Save digests of the before-images that runs of an earlier version left, and of the customer of each run.

    Return the certificate that covers them, or None if there are no such runs. They are covered from `now` on: an
    earlier change stays unknown.
    """
    dialect = create_dialect(parse_store_url(url))
    with open_connection(dialect) as connection, connection.open_write_transaction():
        runs = _digest_runs(connection, key)
        if not runs:
            return None
        counts = {"runs": runs, "journal": _digest_images(connection, key)}
        certificate = Certificate(0, CertificateKind.SEAL, ALL_CUSTOMERS, None, now, actor, counts)
        return issue_certificate(connection, key, certificate)


def _digest_runs(connection: Connection, key: StoreKey) -> int:
    count, schema = 0, {"run_id": pl.Int64, "customer_id": pl.Int64}
    page = f"{UNSEALED_RUNS_SQL} ORDER BY run_id LIMIT {PAGE_ROWS}"
    while not (runs := connection.fetch_frame(page, schema)).is_empty():
        connection.insert_frame("image_digests", digest_runs(runs, key, PENDING))
        count += runs.height
    return count


def _digest_images(connection: Connection, key: StoreKey) -> int:
    count = last = 0
    while not (images := connection.fetch_frame(UNSEALED_IMAGES_SQL, IMAGE_SCHEMA, {"last": last})).is_empty():
        connection.insert_frame("image_digests", digest_images(images, key, PENDING))
        count += images.height
        last = images["entry_id"][-1]
    return count
