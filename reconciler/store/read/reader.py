"""Everything a plan needs to know of the live store, in one consistent view."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from sqlalchemy import func, select

from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.read import before_images, explanation, roster_frames
from reconciler.store.read import history as traces
from reconciler.store.read.history import ChainVerification, verify_chain
from reconciler.store.read.records import (
    CatalogRecord,
    CustomerRecord,
    DocumentRecord,
    HoldRecord,
    RunRecord,
    SnapshotRecord,
    SourceRecord,
    parse_stored_document,
)
from reconciler.store.removal import certificates
from reconciler.store.sync.held_plans import load_held_plan
from reconciler.store.sync.records import (
    SyncRecord,
    find_newest_erasure,
    find_roster_hold,
    is_roster_held,
    list_sync_candidates,
    read_sync_records,
)
from reconciler.store.tables import declared as tables
from reconciler.store.tables import record as records
from reconciler.store.write import limit_uses

if TYPE_CHECKING:
    from reconciler.store.open import Store

LAST_SIGN_INS: roster_frames.Schema = {"account_id": pl.Int64, "at": pl.String}


class Reader:
    """Lives as long as `Store.reading`. Customers are named by id (`CustomerRecord.id`); every frame has its
    columns and types also when it is empty."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self._connection = connection
        self._store = store

    def read_customers(self, slugs: Iterable[str] | None = None) -> dict[str, CustomerRecord]:
        """By slug, sorted; deleted ones included. slugs: of those alone; for few, or None for all."""
        if slugs is None:
            found = self._select_customers(None)
        else:
            found = [each for slug in set(slugs) for each in self._select_customers(tables.customers.c.slug == slug)]
        return {record.slug: record for record in sorted(found, key=lambda record: record.slug)}

    def _select_customers(self, which: Any) -> list[CustomerRecord]:
        table, counters = tables.customers, tables.write_counters
        statement = select(
            table.c.id,
            table.c.slug,
            table.c.name,
            table.c.document,
            table.c.settings_digest,
            table.c.last_run,
            counters.c.n,
            table.c.tombstoned_at,
            table.c.inputs,
            table.c.written,
        ).outerjoin_from(table, counters, counters.c.customer_id == table.c.id)
        return [
            CustomerRecord(
                number,
                slug,
                name,
                document,
                digest,
                (run or 0, writes or 0),
                at is not None,
                inputs,
                written,
            )
            for number, slug, name, document, digest, run, writes, at, inputs, written in self._connection.fetch_rows(
                statement if which is None else statement.where(which)
            )
        ]

    def read_catalog(self) -> CatalogRecord:
        table = tables.store
        row = self._connection.fetch_row(
            select(table.c.catalogue_digest, table.c.catalogue_run, table.c.catalogue_writes)
        )
        digest, run, writes = row or (None, 0, 0)
        return CatalogRecord(digest, (run, writes))

    def read_documents(self, slug: str | None) -> tuple[DocumentRecord, ...]:
        """Communities and lessons of a customer, or the catalogue's lessons (None); deleted ones included."""
        lessons = select(
            tables.lessons.c.id,
            tables.lessons.c.slug,
            tables.lessons.c.title,
            tables.lessons.c.document,
            tables.lessons.c.tombstoned_at,
            tables.lessons.c.written,
        )
        if slug is None:
            return self._select_documents(Kind.LESSON, lessons.where(tables.lessons.c.customer_id.is_(None)))
        communities = select(
            tables.communities.c.id,
            tables.communities.c.slug,
            tables.communities.c.name,
            tables.communities.c.document,
            tables.communities.c.tombstoned_at,
            tables.communities.c.written,
        )
        customers = tables.customers
        of_communities = communities.join(customers, customers.c.id == tables.communities.c.customer_id)
        of_lessons = lessons.join(customers, customers.c.id == tables.lessons.c.customer_id)
        return self._select_documents(
            Kind.COMMUNITY, of_communities.where(customers.c.slug == slug)
        ) + self._select_documents(Kind.LESSON, of_lessons.where(customers.c.slug == slug))

    def _select_documents(self, kind: Kind, statement: Any) -> tuple[DocumentRecord, ...]:
        found = (
            DocumentRecord(
                kind,
                slug,
                label,
                parse_stored_document(document) or {},
                at is not None,
                number,
                *_compare_with_written(document, written),
            )
            for number, slug, label, document, at, written in self._connection.fetch_rows(statement)
        )
        return tuple(sorted(found, key=lambda record: record.slug))

    def read_orgs(self, customer_number: int) -> pl.DataFrame:
        return roster_frames.read_orgs(self._connection, customer_number)

    def read_classes(self, customer_number: int) -> pl.DataFrame:
        return roster_frames.read_classes(self._connection, customer_number)

    def read_users(self, customer_number: int) -> pl.DataFrame:
        """Every account of the customer, whoever manages it. sourced_id: null where no roster row is bound."""
        return roster_frames.read_users(self._connection, customer_number)

    def read_roles(self, customer_number: int) -> pl.DataFrame:
        return roster_frames.read_roles(self._connection, customer_number)

    def read_enrollment_index(self, customer_number: int) -> pl.DataFrame:
        """id and fingerprint of the live ones: two integers per row, for a customer's hundreds of thousands."""
        return roster_frames.read_enrollment_index(self._connection, customer_number)

    def read_enrollments_by_id(self, customer_number: int, ids: pl.Series) -> pl.DataFrame:
        return roster_frames.read_enrollments_by_id(self._connection, customer_number, ids)

    def read_enrollments_by_key(self, customer_number: int, keys: pl.Series) -> pl.DataFrame:
        return roster_frames.read_enrollments_by_key(self._connection, customer_number, keys)

    def read_assignments(self, customer_number: int) -> pl.DataFrame:
        """Live lessons given: account_id or class_id, one row each."""
        return roster_frames.read_assignments(self._connection, customer_number)

    def count_enrollments(
        self, customer_number: int, account_ids: pl.Series | None = None, class_ids: pl.Series | None = None
    ) -> pl.DataFrame:
        """Live enrollments, and in how many classes, of accounts or of classes: give one of the two. Ids
        without any have no row."""
        if account_ids is not None:
            return roster_frames.count_enrollments(self._connection, customer_number, "account_id", account_ids)
        ids = pl.Series([], dtype=pl.Int64) if class_ids is None else class_ids
        return roster_frames.count_enrollments(self._connection, customer_number, "class_id", ids)

    def read_last_sign_ins(self, account_ids: pl.Series) -> pl.DataFrame:
        """From the volatile side, which is not part of the consistent view. Who never signed in has no row."""
        ids = account_ids.cast(pl.Int64).drop_nulls().unique(maintain_order=True)
        if ids.is_empty():
            return pl.DataFrame(schema=LAST_SIGN_INS)
        with (
            self._store.open_connection(volatile=True) as volatile,
            volatile.open_read_transaction(),
            volatile.stage_frame("signed_in", pl.DataFrame({"id": ids})) as table,
        ):
            return volatile.fetch_frame(
                f"SELECT s.account_id, s.at FROM {table} w JOIN last_sign_ins s ON s.account_id = w.id"
                " ORDER BY s.account_id",
                LAST_SIGN_INS,
            )

    def read_sync_records(self, customer_number: int | None = None) -> dict[int, SyncRecord]:
        """What became of the last syncs, by customer's id; of one, or of all."""
        return read_sync_records(self._connection, customer_number)

    def list_sync_candidates(self, now: str, ahead: str, version: str) -> tuple[str, ...]:
        """Customers that may be due for a sync (`syncs.to_be_looked_at`)."""
        return list_sync_candidates(self._connection, now, ahead, version)

    def is_roster_held(self, customer_number: int) -> bool:
        """Whether something of its roster waits for a person."""
        return is_roster_held(self._connection, customer_number)

    def find_roster_hold(self, customer_number: int) -> str | None:
        """The id of what of its roster waits for a person; None where nothing does."""
        return find_roster_hold(self._connection, customer_number)

    def load_held_plan(self, hold: str) -> bytes | None:
        """The plan that was kept for a hold; None where there is none. Raises StoreProblem where it was altered."""
        return load_held_plan(self._connection, self._store.key, hold)

    def find_newest_erasure(self, customer_number: int) -> int:
        """The newest certificate of an erasure, or of one that was lifted (`syncs.erasures`)."""
        return find_newest_erasure(self._connection, customer_number)

    def load_last_snapshot(self, customer_number: int) -> tuple[SnapshotRecord, Mapping[str, pl.DataFrame]] | None:
        """The last good roster: where it came from, and its frames by part."""
        table, parts = records.snapshots, records.snapshot_parts
        row = self._connection.fetch_row(
            select(
                table.c.id,
                table.c.run_id,
                table.c.type,
                table.c.name,
                table.c.version,
                table.c.sha256,
                table.c.fetched_at,
                table.c.complete,
                table.c.rows,
                table.c.facts,
            ).where(table.c.customer_id == customer_number)
        )
        if row is None:
            return None
        number, run, origin, name, version, sha256, fetched_at, complete, rows, facts = row
        slices = self._connection.fetch_rows(
            select(parts.c.part, parts.c.data)
            .where(parts.c.snapshot_id == number)
            .order_by(parts.c.part, parts.c.number)
        )
        frames: dict[str, list[pl.DataFrame]] = {}
        for part, data in slices:
            frames.setdefault(part, []).append(pl.read_parquet(io.BytesIO(data)))
        counted, known = orjson.loads(rows), orjson.loads(facts)
        record = SnapshotRecord(run, origin, name, version, sha256, fetched_at, bool(complete), counted, known)
        return record, {part: pl.concat(found) for part, found in frames.items()}

    def read_last_source(self, customer_number: int) -> SourceRecord | None:
        """Where the last good roster came from, without its rows."""
        table = records.snapshots
        row = self._connection.fetch_row(
            select(table.c.sha256, table.c.fetched_at, table.c.rows, table.c.facts).where(
                table.c.customer_id == customer_number
            )
        )
        return SourceRecord(row[0], row[1], orjson.loads(row[2]), orjson.loads(row[3])) if row else None

    def load_snapshot_part(self, customer_number: int, part: str) -> pl.DataFrame | None:
        """One frame of the last good roster; None where it has none."""
        table, parts = records.snapshots, records.snapshot_parts
        slices = self._connection.fetch_rows(
            select(parts.c.data)
            .join_from(parts, table, table.c.id == parts.c.snapshot_id)
            .where(table.c.customer_id == customer_number, parts.c.part == part)
            .order_by(parts.c.number)
        )
        return pl.concat([pl.read_parquet(io.BytesIO(data)) for (data,) in slices]) if slices else None

    def read_limit_uses(self, customer_number: int, since: str) -> pl.DataFrame:
        """What runs since a moment did that a limit counts, of what is still so: name, row_id, schools."""
        return limit_uses.read_limit_uses(self._connection, customer_number, since)

    def count_newcomers(self, customer_number: int, since: str) -> int:
        """How many live people runs since a moment made, those of the customer's first roster left out."""
        return limit_uses.count_newcomers(self._connection, customer_number, since)

    def list_holds(self) -> tuple[HoldRecord, ...]:
        """What waits for approval, by customer; of one, what its roster holds and what its documents hold."""
        kept = {hold for (hold,) in self._connection.fetch_rows("SELECT DISTINCT hold_id FROM held_plans")}
        table, customers = records.holds, tables.customers
        rows = self._connection.fetch_rows(
            select(
                customers.c.slug,
                table.c.hold_id,
                table.c.people,
                table.c.rows,
                table.c.causes,
                table.c.plan_id,
                table.c.created_at,
            ).join_from(table, customers, customers.c.id == table.c.customer_id)
        )
        found = (
            HoldRecord(slug, hold, people, count, tuple(orjson.loads(causes)), plan, at, hold in kept)
            for slug, hold, people, count, causes, plan, at in rows
        )
        return tuple(sorted(found, key=lambda record: (record.customer, record.id)))

    def list_runs(self, slug: str | None = None) -> tuple[RunRecord, ...]:
        """Newest first; of one customer, or of all. Of a customer that was renamed those under its former ids too, and
        not those of others who had its id before."""
        columns = list(records.runs.columns)
        statement = select(*columns).order_by(records.runs.c.id.desc())
        if slug is not None:
            of_run, customers = records.runs.c, tables.customers.c
            mine = of_run.customer_id.in_(select(customers.id).where(customers.slug == slug))
            nobody_s = of_run.customer_id.is_(None) | of_run.customer_id.not_in(select(customers.id))
            statement = statement.where(mine | ((of_run.customer_slug == slug) & nobody_s))
        names = [{"customer_slug": "customer"}.get(column.name, column.name) for column in columns]
        return tuple(
            self._parse_run(dict(zip(names, row, strict=True))) for row in self._connection.fetch_rows(statement)
        )

    @staticmethod
    def _parse_run(row: dict[str, Any]) -> RunRecord:
        return RunRecord(
            **{**row, "counts": orjson.loads(row["counts"]), "approvals": tuple(orjson.loads(row["approvals"]))}
        )

    def read_recent_runs(self, most: int) -> pl.DataFrame:
        """Newest first, with the columns of `traces.RUNS`."""
        return traces.read_recent_runs(self._connection, most)

    def read_run_changes(self, customer_number: int | None, runs: Iterable[int]) -> pl.DataFrame:
        """What these runs did to a customer's rows (None: to the catalogue), with the columns of `traces.TRACES`."""
        return traces.read_run_changes(self._connection, customer_number, runs)

    def find_run(self, number: int) -> RunRecord | None:
        """One run; None where there is none of this id."""
        return next((run for run in self.list_runs() if run.id == number), None)

    def read_touched_rows(self, kind: Kind, customer_number: int | None, run: int) -> pl.DataFrame:
        """What a run changed of a kind, with the columns of `before_images.TOUCHED_COLUMNS`. customer None: the
        catalogue."""
        return before_images.read_touched_rows(self._connection, kind, customer_number, run)

    def count_moved_identities(self, customer_number: int, run: int) -> int:
        """How many sourcedIds a run took from an account that another hand had bound them to."""
        return before_images.count_moved_identities(self._connection, customer_number, run)

    def has_erased_people(self, customer_number: int) -> bool:
        """Whether anybody of the customer was erased who must not come back."""
        statement = "SELECT 1 FROM erased WHERE customer_id = :customer LIMIT 1"
        return self._connection.fetch_scalar(statement, {"customer": customer_number}) is not None

    def filter_erased_keys(self, customer_number: int, keys: pl.Series) -> pl.Series:
        """Those of `keys`, sourcedIds, whose people were erased and must not come back."""
        return before_images.filter_erased_keys(self._connection, self._store.key, customer_number, keys)

    def read_row_record(self, kind: Kind, row: int) -> explanation.RowRecord | None:
        """Where a person, class, org or enrollment came from, and what runs did to it."""
        return explanation.read_row_record(self._connection, kind, row)

    def list_account_identities(self, account: int) -> tuple[explanation.AccountIdentity, ...]:
        """Everything that an account is known by."""
        return explanation.list_account_identities(self._connection, account)

    def list_account_communities(self, account: int) -> tuple[str, ...]:
        return explanation.list_account_communities(self._connection, account)

    def list_certificates(self) -> tuple[certificates.Certificate, ...]:
        """What was removed for good, oldest first."""
        return certificates.list_certificates(self._connection)

    def find_broken_certificate(self) -> int | None:
        """The first that is not as it was issued; None where all are."""
        return certificates.find_broken_certificate(self._connection, self._store.key)

    def list_customer_ids(self, slug: str) -> frozenset[str]:
        """The ids that a customer has and had: those of its runs."""
        return frozenset({slug, *(run.customer for run in self.list_runs(slug))})

    def find_purge_moment(self, slug: str) -> str | None:
        """The moment before which nothing is known of a customer's people any more; None where nothing was purged."""
        found = (certificates.find_purge_moment(self._connection, each) for each in self.list_customer_ids(slug))
        return max(filter(None, found), default=None)

    def verify_chain(self) -> ChainVerification:
        """Whether every run is as it was written, and none is missing."""
        return verify_chain(self._connection, self._store.key)

    def read_secrets(self, customer_number: int) -> dict[str, tuple[str | None, str]]:
        """Dotted path -> (reference, HMAC of the value under the store's key)."""
        table = tables.secrets
        rows = self._connection.fetch_rows(
            select(table.c.path, table.c.reference, table.c.hmac).where(table.c.customer_id == customer_number)
        )
        return {path: (reference, digest) for path, reference, digest in sorted(rows)}

    def read_all_secrets(self) -> dict[int, dict[str, tuple[str | None, str]]]:
        """As `secrets`, of every customer that has any."""
        table = tables.secrets
        found: dict[int, dict[str, tuple[str | None, str]]] = {}
        rows = self._connection.fetch_rows(select(table.c.customer_id, table.c.path, table.c.reference, table.c.hmac))
        for customer, path, reference, digest in sorted(rows, key=lambda row: row[:2]):
            found.setdefault(customer, {})[path] = (reference, digest)
        return found

    def count_live_documents(self) -> dict[int, dict[Kind, int]]:
        """How many live communities and lessons each customer has, where it has any."""
        found: dict[int, dict[Kind, int]] = {}
        for kind, table in ((Kind.COMMUNITY, tables.communities), (Kind.LESSON, tables.lessons)):
            alive = table.c.tombstoned_at.is_(None) & table.c.customer_id.is_not(None)
            counted = select(table.c.customer_id, func.count()).where(alive).group_by(table.c.customer_id)
            for customer, number in self._connection.fetch_rows(counted):
                found.setdefault(customer, {})[kind] = number
        return found

    def list_customers_with_roster(self) -> frozenset[int]:
        """Those of which a good roster is kept."""
        return frozenset(
            customer for (customer,) in self._connection.fetch_rows(select(records.snapshots.c.customer_id))
        )


def _compare_with_written(document: str, written: str | None) -> tuple[bool, Mapping[str, object] | None]:
    """Whether a document is not as its run wrote it, or nobody knows; and what the run wrote, if it is known."""
    if document == written:
        return False, None
    return True, parse_stored_document(written) if written is not None else None
