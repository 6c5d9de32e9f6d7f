"""Read the customers, documents, snapshots, holds, runs and secrets of the store in one consistent view."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import polars as pl
from sqlalchemy import func, select

from reconciler.model.ids import CustomerId, CustomerNumber, Moment, RunId
from reconciler.model.kind import Kind
from reconciler.store.address import SqliteAddress
from reconciler.store.database.connection import Connection, open_connection
from reconciler.store.json_text import parse_stored_document, parse_stored_texts
from reconciler.store.key import StoreKey
from reconciler.store.read.records import (
    UNREADABLE_CAUSES,
    CatalogRecord,
    CustomerRecord,
    DocumentRecord,
    HoldRecord,
    RunRecord,
    SecretRecord,
    SnapshotRecord,
    SourceRecord,
    apply_columns,
)
from reconciler.store.tables import declared as tables
from reconciler.store.tables import record as records

LAST_SIGN_INS: dict[str, type[pl.DataType]] = {"account_id": pl.Int64, "at": pl.String}


class Reader:
    """A consistent view of the store, valid within the block of `Store.open_reader`.

    An empty frame has all columns and types as well.
    """

    def __init__(self, connection: Connection, key: StoreKey) -> None:
        #: for functions of `store` that read other tables in the same view
        self.connection = connection
        self.key = key

    def read_customers(self, slugs: Iterable[CustomerId] | None = None) -> dict[CustomerId, CustomerRecord]:
        """Return customers by slug, sorted, including deleted ones.

        slugs: the customers to read, with a query for each; None for all.
        """
        if slugs is None:
            customers = self._select_customers(None)
        else:
            table = tables.customers
            customers = [each for slug in set(slugs) for each in self._select_customers(table.c.slug == slug)]
        return {record.slug: record for record in sorted(customers, key=lambda record: record.slug)}

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
            table.c.status,
        ).outerjoin_from(table, counters, counters.c.customer_id == table.c.id)
        rows = self.connection.fetch_rows(statement if which is None else statement.where(which))
        return [
            CustomerRecord(
                number,
                slug,
                name,
                document,
                digest,
                (run or RunId(0), writes or 0),
                at is not None,
                inputs,
                written,
                status,
            )
            for number, slug, name, document, digest, run, writes, at, inputs, written, status in rows
        ]

    def read_catalog(self) -> CatalogRecord:
        table = tables.store
        row = self.connection.fetch_row(
            select(table.c.catalogue_digest, table.c.catalogue_run, table.c.catalogue_writes)
        )
        digest, run, writes = row or (None, 0, 0)
        return CatalogRecord(digest, (run, writes))

    def read_documents(self, slug: CustomerId | None) -> tuple[DocumentRecord, ...]:
        """Return the communities and lessons of a customer, or the catalog's lessons (None), including deleted ones."""
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
        communities = communities.join(customers, customers.c.id == tables.communities.c.customer_id)
        lessons = lessons.join(customers, customers.c.id == tables.lessons.c.customer_id)
        return self._select_documents(
            Kind.COMMUNITY, communities.where(customers.c.slug == slug)
        ) + self._select_documents(Kind.LESSON, lessons.where(customers.c.slug == slug))

    def _select_documents(self, kind: Kind, statement: Any) -> tuple[DocumentRecord, ...]:
        documents = (
            _build_document_record(kind, slug, label, document, at is not None, number, written)
            for number, slug, label, document, at, written in self.connection.fetch_rows(statement)
        )
        return tuple(sorted(documents, key=lambda record: record.slug))

    def read_last_sign_ins(self, account_ids: pl.Series) -> pl.DataFrame:
        """Return the last sign-in of each account that has one.

        Reads the volatile tables, which are not part of the consistent view.
        """
        ids = account_ids.cast(pl.Int64).drop_nulls().unique(maintain_order=True)
        address = self.connection.dialect.address
        is_lost = isinstance(address, SqliteAddress) and not address.volatile.exists()
        if ids.is_empty() or is_lost:
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

    def load_last_snapshot(
        self, customer_number: CustomerNumber
    ) -> tuple[SnapshotRecord, Mapping[str, pl.DataFrame]] | None:
        """Return the last good roster and its frames by part, or None if there is none."""
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

    def read_last_source(self, customer_number: CustomerNumber) -> SourceRecord | None:
        """Return the source of the last good roster without its rows, or None if there is none."""
        table = records.snapshots
        row = self.connection.fetch_row(
            select(table.c.sha256, table.c.fetched_at, table.c.rows, table.c.facts).where(
                table.c.customer_id == customer_number
            )
        )
        return SourceRecord(row[0], row[1], orjson.loads(row[2]), orjson.loads(row[3])) if row else None

    def load_snapshot_part(self, customer_number: CustomerNumber, part: str) -> pl.DataFrame | None:
        """Return one frame of the last good roster, or None if it does not exist."""
        table, parts = records.snapshots, records.snapshot_parts
        slices = self.connection.fetch_rows(
            select(parts.c.data)
            .join_from(parts, table, table.c.id == parts.c.snapshot_id)
            .where(table.c.customer_id == customer_number, parts.c.part == part)
            .order_by(parts.c.number)
        )
        return pl.concat([pl.read_parquet(io.BytesIO(data)) for (data,) in slices]) if slices else None

    def list_holds(self) -> tuple[HoldRecord, ...]:
        """Return all holds by customer, at most one of its roster and one of its documents."""
        saved = {hold for (hold,) in self.connection.fetch_rows("SELECT DISTINCT hold_id FROM held_plans")}
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
        holds = (
            HoldRecord(
                slug, hold, people, count, parse_stored_texts(causes) or UNREADABLE_CAUSES, plan, at, hold in saved
            )
            for slug, hold, people, count, causes, plan, at in rows
        )
        return tuple(sorted(holds, key=lambda record: (record.customer, record.id)))

    def list_runs(self, slug: CustomerId | None = None, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Return runs, newest first, of one customer or of all (None). limit: the newest so many; None for all.

        The runs of a renamed customer include those under its former IDs, but not those of other customers that had
        its ID before.
        """
        statement = select(*records.runs.columns).order_by(records.runs.c.id.desc()).limit(limit)
        return self._select_runs(statement if slug is None else statement.where(_match_runs(slug)))

    def _select_runs(self, statement: Any) -> tuple[RunRecord, ...]:
        names = [{"customer_slug": "customer"}.get(column.name, column.name) for column in records.runs.columns]
        return tuple(
            self._parse_run(dict(zip(names, row, strict=True))) for row in self.connection.fetch_rows(statement)
        )

    @staticmethod
    def _parse_run(row: dict[str, Any]) -> RunRecord:
        # A run that was altered is listed all the same; `verify_chain` says so.
        counts, approvals = parse_stored_document(row["counts"]) or {}, parse_stored_texts(row["approvals"]) or ()
        return RunRecord(**{**row, "counts": counts, "approvals": approvals})

    def find_run(self, number: RunId) -> RunRecord | None:
        """Return the run of an id, or None."""
        return next(iter(self._select_runs(select(*records.runs.columns).where(records.runs.c.id == number))), None)

    def has_erased_people(self, customer_number: CustomerNumber) -> bool:
        """Return True if a person of the customer was erased and must not be restored."""
        statement = "SELECT 1 FROM erased WHERE customer_id = :customer LIMIT 1"
        return self.connection.fetch_scalar(statement, {"customer": customer_number}) is not None

    def list_customer_ids(self, slug: CustomerId) -> frozenset[CustomerId]:
        """Return the present and former IDs of a customer, as its runs have them."""
        rows = self.connection.fetch_rows(select(records.runs.c.customer_slug).where(_match_runs(slug)).distinct())
        return frozenset({slug, *(CustomerId(former) for (former,) in rows)})

    def read_secrets(self, customer_number: CustomerNumber) -> dict[str, SecretRecord]:
        """Return a customer's secrets by dotted path."""
        table = tables.secrets
        rows = self.connection.fetch_rows(
            select(table.c.path, table.c.reference, table.c.hmac, table.c.key_id)
            .where(table.c.customer_id == customer_number)
            .order_by(table.c.path)
        )
        return {path: SecretRecord(*facts) for path, *facts in rows}

    def list_previous_secrets(self, set_before: Moment) -> dict[CustomerNumber, list[tuple[str, Moment]]]:
        """Return the (dotted path, moment of the run that set it) of each LMS's previous secret set before a moment."""
        found: dict[CustomerNumber, list[tuple[str, Moment]]] = {}
        rows = self.connection.fetch_rows(
            "SELECT s.customer_id, s.path, r.started_at FROM secrets s JOIN runs r ON r.id = s.changed_run"
            " WHERE s.path LIKE 'lti.platforms.%.previous_secret' AND r.started_at < :moment ORDER BY 1, 2",
            {"moment": set_before},
        )
        for customer, path, moment in rows:
            found.setdefault(customer, []).append((path, moment))
        return found

    def read_all_secrets(self) -> dict[CustomerNumber, dict[str, SecretRecord]]:
        """Return the secrets of every customer that has any, each as from `read_secrets`."""
        table = tables.secrets
        secrets: dict[CustomerNumber, dict[str, SecretRecord]] = {}
        rows = self.connection.fetch_rows(
            select(table.c.customer_id, table.c.path, table.c.reference, table.c.hmac, table.c.key_id)
        )
        for customer, path, *facts in sorted(rows, key=lambda row: row[:2]):
            secrets.setdefault(customer, {})[path] = SecretRecord(*facts)
        return secrets

    def count_live_documents(self) -> dict[CustomerNumber, dict[Kind, int]]:
        """Return the numbers of active communities and lessons of each customer that has any."""
        counts: dict[CustomerNumber, dict[Kind, int]] = {}
        for kind, table in ((Kind.COMMUNITY, tables.communities), (Kind.LESSON, tables.lessons)):
            active = table.c.tombstoned_at.is_(None) & table.c.customer_id.is_not(None)
            statement = select(table.c.customer_id, func.count()).where(active).group_by(table.c.customer_id)
            for customer, number in self.connection.fetch_rows(statement):
                counts.setdefault(customer, {})[kind] = number
        return counts

    def list_customers_with_roster(self) -> frozenset[CustomerNumber]:
        """Return the customers that have a last good roster."""
        return frozenset(
            customer for (customer,) in self.connection.fetch_rows(select(records.snapshots.c.customer_id))
        )


def _match_runs(slug: CustomerId) -> Any:
    """Return the SQL condition of a customer's runs, also under its former IDs."""
    runs, customers = records.runs.c, tables.customers.c
    own = runs.customer_id.in_(select(customers.id).where(customers.slug == slug))
    orphaned = runs.customer_id.is_(None) | runs.customer_id.not_in(select(customers.id))
    return own | ((runs.customer_slug == slug) & orphaned)


def _build_document_record(
    kind: Kind, slug: str, label: str, text: str, tombstoned: bool, row_id: int, written: str | None
) -> DocumentRecord:
    document = apply_columns(text, written, {"title" if kind is Kind.LESSON else "name": label})
    altered = text != written or document != (parse_stored_document(text) or {})
    last_written = parse_stored_document(written) if altered and written is not None else None
    return DocumentRecord(kind, slug, label, document, tombstoned, row_id, altered, last_written)
