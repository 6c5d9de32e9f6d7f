"""Everything a plan needs to know of the live store, in one consistent view."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import polars as pl
from sqlalchemy import func, select

from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.json_text import parse_stored_document
from reconciler.store.key import StoreKey
from reconciler.store.read.records import (
    CatalogRecord,
    CustomerRecord,
    DocumentRecord,
    HoldRecord,
    RunRecord,
    SnapshotRecord,
    SourceRecord,
)
from reconciler.store.tables import declared as tables
from reconciler.store.tables import record as records

LAST_SIGN_INS: dict[str, type[pl.DataType]] = {"account_id": pl.Int64, "at": pl.String}


class Reader:
    """Reads the store in one consistent view, for as long as the block of `Store.open_reader`.

    Customers are named by id (`CustomerRecord.id`); every frame has its columns and types also when it is empty.
    """

    def __init__(self, connection: Connection, key: StoreKey) -> None:
        #: For the functions of `store` that read something of their own in the same view.
        self.connection = connection
        self.key = key

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
            for number, slug, name, document, digest, run, writes, at, inputs, written in self.connection.fetch_rows(
                statement if which is None else statement.where(which)
            )
        ]

    def read_catalog(self) -> CatalogRecord:
        table = tables.store
        row = self.connection.fetch_row(
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
            for number, slug, label, document, at, written in self.connection.fetch_rows(statement)
        )
        return tuple(sorted(found, key=lambda record: record.slug))

    def read_last_sign_ins(self, account_ids: pl.Series) -> pl.DataFrame:
        """From the volatile side, which is not part of the consistent view. Who never signed in has no row."""
        ids = account_ids.cast(pl.Int64).drop_nulls().unique(maintain_order=True)
        if ids.is_empty():
            return pl.DataFrame(schema=LAST_SIGN_INS)
        with (
            open_connection(self.connection.dialect, volatile=True) as volatile,
            volatile.open_read_transaction(),
            volatile.stage_frame("signed_in", pl.DataFrame({"id": ids})) as table,
        ):
            return volatile.fetch_frame(
                f"SELECT s.account_id, s.at FROM {table} w JOIN last_sign_ins s ON s.account_id = w.id"
                " ORDER BY s.account_id",
                LAST_SIGN_INS,
            )

    def load_last_snapshot(self, customer_number: int) -> tuple[SnapshotRecord, Mapping[str, pl.DataFrame]] | None:
        """The last good roster: where it came from, and its frames by part."""
        table, parts = records.snapshots, records.snapshot_parts
        row = self.connection.fetch_row(
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
        slices = self.connection.fetch_rows(
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
        row = self.connection.fetch_row(
            select(table.c.sha256, table.c.fetched_at, table.c.rows, table.c.facts).where(
                table.c.customer_id == customer_number
            )
        )
        return SourceRecord(row[0], row[1], orjson.loads(row[2]), orjson.loads(row[3])) if row else None

    def load_snapshot_part(self, customer_number: int, part: str) -> pl.DataFrame | None:
        """One frame of the last good roster; None where it has none."""
        table, parts = records.snapshots, records.snapshot_parts
        slices = self.connection.fetch_rows(
            select(parts.c.data)
            .join_from(parts, table, table.c.id == parts.c.snapshot_id)
            .where(table.c.customer_id == customer_number, parts.c.part == part)
            .order_by(parts.c.number)
        )
        return pl.concat([pl.read_parquet(io.BytesIO(data)) for (data,) in slices]) if slices else None

    def list_holds(self) -> tuple[HoldRecord, ...]:
        """What waits for approval, by customer; of one, what its roster holds and what its documents hold."""
        kept = {hold for (hold,) in self.connection.fetch_rows("SELECT DISTINCT hold_id FROM held_plans")}
        table, customers = records.holds, tables.customers
        rows = self.connection.fetch_rows(
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
            self._parse_run(dict(zip(names, row, strict=True))) for row in self.connection.fetch_rows(statement)
        )

    @staticmethod
    def _parse_run(row: dict[str, Any]) -> RunRecord:
        return RunRecord(
            **{**row, "counts": orjson.loads(row["counts"]), "approvals": tuple(orjson.loads(row["approvals"]))}
        )

    def find_run(self, number: int) -> RunRecord | None:
        """One run; None where there is none of this id."""
        return next((run for run in self.list_runs() if run.id == number), None)

    def has_erased_people(self, customer_number: int) -> bool:
        """Whether anybody of the customer was erased who must not come back."""
        statement = "SELECT 1 FROM erased WHERE customer_id = :customer LIMIT 1"
        return self.connection.fetch_scalar(statement, {"customer": customer_number}) is not None

    def list_customer_ids(self, slug: str) -> frozenset[str]:
        """The ids that a customer has and had: those of its runs."""
        return frozenset({slug, *(run.customer for run in self.list_runs(slug))})

    def read_secrets(self, customer_number: int) -> dict[str, tuple[str | None, str]]:
        """Dotted path -> (reference, HMAC of the value under the store's key)."""
        table = tables.secrets
        rows = self.connection.fetch_rows(
            select(table.c.path, table.c.reference, table.c.hmac).where(table.c.customer_id == customer_number)
        )
        return {path: (reference, digest) for path, reference, digest in sorted(rows)}

    def read_all_secrets(self) -> dict[int, dict[str, tuple[str | None, str]]]:
        """As `secrets`, of every customer that has any."""
        table = tables.secrets
        found: dict[int, dict[str, tuple[str | None, str]]] = {}
        rows = self.connection.fetch_rows(select(table.c.customer_id, table.c.path, table.c.reference, table.c.hmac))
        for customer, path, reference, digest in sorted(rows, key=lambda row: row[:2]):
            found.setdefault(customer, {})[path] = (reference, digest)
        return found

    def count_live_documents(self) -> dict[int, dict[Kind, int]]:
        """How many live communities and lessons each customer has, where it has any."""
        found: dict[int, dict[Kind, int]] = {}
        for kind, table in ((Kind.COMMUNITY, tables.communities), (Kind.LESSON, tables.lessons)):
            alive = table.c.tombstoned_at.is_(None) & table.c.customer_id.is_not(None)
            counted = select(table.c.customer_id, func.count()).where(alive).group_by(table.c.customer_id)
            for customer, number in self.connection.fetch_rows(counted):
                found.setdefault(customer, {})[kind] = number
        return found

    def list_customers_with_roster(self) -> frozenset[int]:
        """Those of which a good roster is kept."""
        return frozenset(
            customer for (customer,) in self.connection.fetch_rows(select(records.snapshots.c.customer_id))
        )


def _compare_with_written(document: str, written: str | None) -> tuple[bool, Mapping[str, object] | None]:
    """Whether a document is not as its run wrote it, or nobody knows; and what the run wrote, if it is known."""
    if document == written:
        return False, None
    return True, parse_stored_document(written) if written is not None else None
