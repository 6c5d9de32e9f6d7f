"""Verify before-images by their digests, and the digests by the runs and certificates that cover them."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from reconciler.model.ids import CustomerId, Moment, RunId
from reconciler.store.database.connection import Connection
from reconciler.store.key import StoreKey
from reconciler.store.read.chain import PAGE_RUNS
from reconciler.store.read.image_digests import (
    BY_RUN,
    IMAGE_SCHEMA,
    NOTHING,
    PAGE_ROWS,
    RUN_ENTRY,
    UNSEALED_RUNS_SQL,
    digest_images,
    digest_runs,
    iter_combined_digests,
)

#: Mismatches that are named one by one.
MAX_MISMATCHES = 10
LAST_CERTIFICATE = (1 << 62) - 1

CHECKED_SCHEMA = {
    "certificate_id": pl.Int64,
    "run": pl.Int64,
    "entry": pl.Int64,
    "digest": pl.String,
    **IMAGE_SCHEMA,
}
#: Each before-image with its newest digest: as its run wrote it, or as its last removal left it.
CHECKED_SQL = f"""
SELECT d.certificate_id, d.run_id AS run, d.entry_id AS entry, d.digest,
       j.run_id, j.id AS entry_id, j.customer_id, j.kind, j.row_id, j.action, j.before
FROM image_digests d LEFT JOIN journal j ON j.id = d.entry_id
WHERE (d.certificate_id, d.run_id, d.entry_id) > (:certificate, :run, :entry) AND d.entry_id <> {RUN_ENTRY}
  AND NOT EXISTS (SELECT 1 FROM image_digests x WHERE x.entry_id = d.entry_id AND x.certificate_id > d.certificate_id)
ORDER BY d.certificate_id, d.run_id, d.entry_id LIMIT {PAGE_ROWS}
"""
#: Before-images without a digest, of runs that have digests of all their own.
ADDED_SQL = f"""
SELECT j.id, j.run_id, j.kind, j.row_id FROM journal j
WHERE NOT EXISTS (SELECT 1 FROM image_digests d WHERE d.entry_id = j.id)
  AND NOT EXISTS (SELECT 1 FROM ({UNSEALED_RUNS_SQL}) u WHERE u.run_id = j.run_id)
ORDER BY j.id LIMIT {MAX_MISMATCHES}
"""
RUN_SCHEMA = {"certificate_id": pl.Int64, "run_id": pl.Int64, "customer_id": pl.Int64, "digest": pl.String}
SEALED_RUNS_SQL = f"""
SELECT d.certificate_id, d.run_id, r.customer_id, d.digest
FROM image_digests d LEFT JOIN runs r ON r.id = d.run_id
WHERE d.entry_id = {RUN_ENTRY} AND d.run_id > :run ORDER BY d.run_id LIMIT {PAGE_ROWS}
"""
#: Runs and certificates with digests, of which no digest is left.
EMPTIED_SQL = f"""
SELECT r.id, r.journal_digest FROM runs r WHERE r.journal_digest <> '{NOTHING}'
  AND NOT EXISTS (SELECT 1 FROM image_digests d WHERE d.certificate_id = {BY_RUN} AND d.run_id = r.id)
UNION ALL
SELECT -c.id, c.images FROM certificates c WHERE c.images IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM image_digests d WHERE d.certificate_id = c.id)
ORDER BY 1
"""
RUN_DIGESTS_SQL = f"SELECT id, journal_digest FROM runs WHERE id >= :run ORDER BY id LIMIT {PAGE_RUNS}"
LAWFUL_SQL = """
SELECT c.id, c.kind, c.customer_slug, c.at, count(*), count(DISTINCT d.run_id)
FROM image_digests d JOIN certificates c ON c.id = d.certificate_id
WHERE c.kind IN ('purge', 'erase') GROUP BY c.id, c.kind, c.customer_slug, c.at ORDER BY c.id
"""


@dataclass(frozen=True, slots=True)
class ImageMismatch:
    #: of one before-image or run, for people
    message: str
    run: RunId | None


@dataclass(frozen=True, slots=True)
class LawfulRemoval:
    """Before-images that a purge or an erasure removed or changed."""

    certificate: int
    kind: str
    customer: CustomerId
    at: Moment
    images: int
    runs: int


@dataclass(frozen=True, slots=True)
class ImageVerification:
    """The result of verifying all before-images."""

    #: number of those in the store that are intact
    images: int
    #: the first mismatches
    mismatches: tuple[ImageMismatch, ...]
    removals: tuple[LawfulRemoval, ...]
    #: number of runs of an earlier version whose before-images no digest covers
    unsealed_runs: int
    #: the moment since which those of earlier versions are covered; None if there are none
    sealed_at: Moment | None


def verify_images(connection: Connection, key: StoreKey) -> ImageVerification:
    """Verify the before-images, their digests, and what covers the digests, a page at a time."""
    images = 0
    mismatches: list[ImageMismatch] = []
    for page in _iter_checked_pages(connection):
        intact, wrong = _check_images(page, key)
        images += intact
        mismatches += wrong[: MAX_MISMATCHES - len(mismatches)]
    for found in (_find_added(connection), _find_altered_digests(connection), _find_altered_runs(connection, key)):
        mismatches += [each for _, each in zip(range(MAX_MISMATCHES - len(mismatches)), found, strict=False)]
    return ImageVerification(
        images,
        tuple(mismatches),
        tuple(
            LawfulRemoval(int(number), kind, customer, at, int(count), int(runs))
            for number, kind, customer, at, count, runs in connection.fetch_rows(LAWFUL_SQL)
        ),
        int(connection.fetch_scalar(f"SELECT count(*) FROM ({UNSEALED_RUNS_SQL}) u")),
        connection.fetch_scalar("SELECT max(at) FROM certificates WHERE kind = 'seal'"),
    )


def _iter_checked_pages(connection: Connection) -> Iterator[pl.DataFrame]:
    place = {"certificate": BY_RUN, "run": -1, "entry": -1}
    while not (page := connection.fetch_frame(CHECKED_SQL, CHECKED_SCHEMA, place)).is_empty():
        yield page
        place = dict(zip(place, page.select("certificate_id", "run", "entry").row(-1), strict=True))


def _check_images(page: pl.DataFrame, key: StoreKey) -> tuple[int, list[ImageMismatch]]:
    """Return the number of intact before-images and the mismatches of a page."""
    wrong = _find_wrong_images(page, key)
    for earlier in key.others:
        wrong = _find_wrong_images(wrong.select(page.columns), earlier)
    present = pl.col("entry_id").is_not_null()
    intact = page.filter(present).height - wrong.filter(present).height
    return intact, [_describe_mismatch(row) for row in wrong.head(MAX_MISMATCHES).iter_rows(named=True)]


def _find_wrong_images(page: pl.DataFrame, key: StoreKey) -> pl.DataFrame:
    """Return the rows whose digest is not that of the before-image under this key, with the latter as `found`."""
    present = page.filter(pl.col("entry_id").is_not_null())
    found = digest_images(present.select(list(IMAGE_SCHEMA)), key, BY_RUN).rename({"digest": "found"})
    compared = page.join(
        found.select(pl.col("entry_id").alias("entry"), "found"), on="entry", how="left", maintain_order="left"
    )
    return compared.filter(pl.col("digest").ne_missing(pl.col("found")))


def _describe_mismatch(row: dict[str, object]) -> ImageMismatch:
    name = f"before-image {row['entry']} of run {row['run']}"
    if row["found"] is None:
        message = f"{name} is missing, and no certificate names its removal"
    elif row["digest"] is None:
        message = f"{name} is there again, although certificate {row['certificate_id']} names its removal"
    else:
        message = f"{name} was altered after it was written ({row['kind']}, row {row['row_id']})"
    return ImageMismatch(message, RunId(int(str(row["run"]))))


def _find_added(connection: Connection) -> Iterator[ImageMismatch]:
    for number, run, kind, row in connection.fetch_rows(ADDED_SQL):
        yield ImageMismatch(f"before-image {number} of run {run} was added later ({kind}, row {row})", RunId(int(run)))


def _find_altered_digests(connection: Connection) -> Iterator[ImageMismatch]:
    """Yield the runs and certificates whose digests were altered, removed or added."""
    certified = dict(connection.fetch_rows("SELECT -id, images FROM certificates WHERE images IS NOT NULL"))
    of_runs: dict[int, str | None] = {}
    for owner, _ in connection.fetch_rows(EMPTIED_SQL):
        yield _describe_digests(int(owner))
    for owner, combined in iter_combined_digests(connection, BY_RUN, LAST_CERTIFICATE):
        if owner > max(of_runs, default=0):
            of_runs = dict(connection.fetch_rows(RUN_DIGESTS_SQL, {"run": owner}))
        if (of_runs if owner > 0 else certified).get(owner) != combined:
            yield _describe_digests(owner)


def _describe_digests(owner: int) -> ImageMismatch:
    if owner > 0:
        return ImageMismatch(f"the digests of the before-images of run {owner} were altered", RunId(owner))
    return ImageMismatch(f"the digests of the before-images of certificate {-owner} were altered", None)


def _find_altered_runs(connection: Connection, key: StoreKey) -> Iterator[ImageMismatch]:
    """Yield the runs of earlier versions whose customer was altered."""
    last = 0
    while not (page := connection.fetch_frame(SEALED_RUNS_SQL, RUN_SCHEMA, {"run": last})).is_empty():
        wrong = page
        for each in key.known:
            found = digest_runs(wrong.select("run_id", "customer_id"), each, BY_RUN)["digest"]
            wrong = wrong.filter(wrong["digest"].ne_missing(found))
        for run in wrong["run_id"]:
            yield ImageMismatch(f"the customer of run {run} was altered after it was written", RunId(run))
        last = page["run_id"][-1]
