"""Compute keyed digests of before-images, and combine those of one run or certificate into a single digest.

A digest names nobody, so it stays when its before-image is removed by a purge or an erasure.
"""

import hashlib
from collections.abc import Iterator

import polars as pl
import polars_hash as plh

from reconciler.store.database.connection import Connection
from reconciler.store.key import StoreKey

#: The certificate of digests as their run wrote them, and of a removal that has no certificate yet.
BY_RUN, PENDING = 0, -1
#: The entry of a run itself, which an earlier version recorded without the digests of its before-images.
RUN_ENTRY = 0
#: Before-images or digests read at a time.
PAGE_ROWS = 20_000
#: Hexadecimal digits of an HMAC that a digest keeps.
DIGEST_DIGITS = 32

IMAGE_SCHEMA = {
    "run_id": pl.Int64,
    "entry_id": pl.Int64,
    "customer_id": pl.Int64,
    "kind": pl.String,
    "row_id": pl.Int64,
    "action": pl.String,
    "before": pl.String,
}
#: Before-images, to be continued with a condition.
IMAGES_SQL = "SELECT j.run_id, j.id AS entry_id, j.customer_id, j.kind, j.row_id, j.action, j.before FROM journal j"
#: Runs of an earlier version without digests, to be continued.
UNSEALED_RUNS_SQL = f"""
SELECT r.id AS run_id, r.customer_id FROM runs r WHERE r.journal_digest IS NULL
    AND NOT EXISTS (SELECT 1 FROM image_digests d WHERE d.entry_id = {RUN_ENTRY} AND d.run_id = r.id)
"""
DIGEST_SCHEMA = {"certificate_id": pl.Int64, "run_id": pl.Int64, "entry_id": pl.Int64, "digest": pl.String}
DIGESTS_SQL = f"""
SELECT certificate_id, run_id, entry_id, digest FROM image_digests
WHERE (certificate_id, run_id, entry_id) > (:certificate, :run, :entry) AND certificate_id <= :last
ORDER BY certificate_id, run_id, entry_id LIMIT {PAGE_ROWS}
"""

_FIELD = "\x1f"
_NULL = "\x00"
#: The combined digest of no before-images.
NOTHING = hashlib.sha256().hexdigest()


def digest_images(images: pl.DataFrame, key: StoreKey, certificate: int) -> pl.DataFrame:
    """Return rows of `image_digests` for before-images of IMAGE_SCHEMA. The digest covers every column."""
    content = pl.concat_str([pl.col(name).cast(pl.String).fill_null(_NULL) for name in IMAGE_SCHEMA], separator=_FIELD)
    return _build_digests(images, content, key, certificate)


def digest_runs(runs: pl.DataFrame, key: StoreKey, certificate: int) -> pl.DataFrame:
    """Return rows of `image_digests` for runs (`run_id`, `customer_id`), which prove the customer of each."""
    customer = pl.col("customer_id").cast(pl.String).fill_null(_NULL)
    content = pl.concat_str([pl.lit("run"), pl.col("run_id"), customer], separator=_FIELD)
    return _build_digests(runs.with_columns(entry_id=pl.lit(RUN_ENTRY, pl.Int64)), content, key, certificate)


def _build_digests(rows: pl.DataFrame, content: pl.Expr, key: StoreKey, certificate: int) -> pl.DataFrame:
    secret = key.derive_key("journal").hex()
    return rows.with_columns(content.alias("content")).select(
        pl.lit(certificate, pl.Int64).alias("certificate_id"),
        "run_id",
        "entry_id",
        plh.col("content").chash.hmac_sha256(key=secret).str.head(DIGEST_DIGITS).alias("digest"),
    )


#: A digest's part of a combined one.
_LINE = pl.concat_str(["run_id", "entry_id", pl.col("digest").fill_null("")], separator=":") + "\n"


def format_digest_lines(digests: pl.DataFrame) -> bytes:
    """Return the text whose SHA-256 is the combined digest of these rows of `image_digests`."""
    return str(digests.select(_LINE.str.join("")).item()).encode()


def iter_combined_digests(connection: Connection, first: int, last: int) -> Iterator[tuple[int, str]]:
    """Yield (owner, combined digest) of the digests of certificates from `first` to `last`, a page at a time.

    The owner is a run's id, or a certificate's id below zero.
    """
    owner, combined = None, hashlib.sha256()
    owners = pl.when(pl.col("certificate_id") == BY_RUN).then("run_id").otherwise(-pl.col("certificate_id"))
    for page in iter_digest_pages(connection, first, last):
        groups = page.group_by(owners.alias("owner"), maintain_order=True).agg(_LINE.str.join("").alias("lines"))
        for each, lines in groups.iter_rows():
            if owner is not None and each != owner:
                yield owner, combined.hexdigest()
                combined = hashlib.sha256()
            owner = each
            combined.update(lines.encode())
    if owner is not None:
        yield owner, combined.hexdigest()


def iter_digest_pages(connection: Connection, first: int, last: int) -> Iterator[pl.DataFrame]:
    """Yield the digests of certificates from `first` to `last` in pages of DIGEST_SCHEMA, in order."""
    place = {"certificate": first, "run": -1, "entry": -1, "last": last}
    while True:
        page = connection.fetch_frame(DIGESTS_SQL, DIGEST_SCHEMA, place)
        if page.is_empty():
            return
        yield page
        certificate, run, entry, _ = page.row(-1)
        place |= {"certificate": certificate, "run": run, "entry": entry}
