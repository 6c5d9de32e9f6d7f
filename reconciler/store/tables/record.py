"""What applies leave behind: runs, the journal of before-images, the last good roster, and holds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text

from reconciler.store.tables.metadata import durable, make_id_column

#: hash: SHA-256 over previous_hash and the row, so that `history --verify` sees a row that was changed. undoes: the run
#: that this one reverses.
runs = Table(
    "runs",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, index=True),
    Column("customer_slug", Text, nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("git_commit", Text),
    Column("approvals", Text, nullable=False),
    Column("source_sha256", Text),
    Column("settings_digest", Text),
    Column("undoes", BigInteger),
    Column("previous_hash", Text),
    Column("hash", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: What a run carried out, for `apply --expect PLAN_ID`: keyed digests of its effects, which name nobody. data: 8 bytes
#: per effect.
run_effects = Table(
    "run_effects",
    durable,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_id", BigInteger, index=True),
    Column("data", LargeBinary, nullable=False),
)

#: before: JSON of the row as it was. A row that a run made is not journalled: its created_run says it.
journal = Table(
    "journal",
    durable,
    make_id_column(),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger),
    Column("kind", Text, nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", Text, nullable=False),
    Index("ix_journal_kind_row_id", "kind", "row_id"),
    sqlite_autoincrement=True,
)

#: What a run did that a limit counts and nobody approved. name: of the limit (`users`, `rekeys`, ...). row_id: of the
#: account, class or enrollment. schools: the sourcedIds of a person's orgs then, one a line. at: the run's moment.
limit_uses = Table(
    "limit_uses",
    durable,
    make_id_column(),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("schools", Text),
    Column("at", Text, nullable=False),
    Index("ix_limit_uses_customer_id_at", "customer_id", "at"),
    sqlite_autoincrement=True,
)

#: What was removed for good, by `purge` (end of retention) or `erase` (request), or let in
#: again (`lift`), without naming anybody. counts: JSON
#: of rows by table. seal: HMAC under the store's key.
certificates = Table(
    "certificates",
    durable,
    make_id_column(),
    Column("kind", Text, nullable=False),
    Column("customer_slug", Text, nullable=False),
    Column("request", Text),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("seal", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: Who was erased on request and must not come back. trace: HMAC of the sourcedId under the store's key.
erased = Table(
    "erased",
    durable,
    Column("customer_id", BigInteger, primary_key=True),
    Column("trace", Text, primary_key=True),
    Column("certificate_id", BigInteger, nullable=False),
)

#: The last good roster of a customer. rows: JSON of row counts by file. facts: JSON of what later
#: sources are judged by.
snapshots = Table(
    "snapshots",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, ForeignKey("customers.id"), nullable=False, unique=True),
    Column("run_id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("fetched_at", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("rows", Text, nullable=False),
    Column("facts", Text, nullable=False, server_default="{}"),
    sqlite_autoincrement=True,
)

#: data: one slice of a frame as Parquet (zstd).
snapshot_parts = Table(
    "snapshot_parts",
    durable,
    Column("snapshot_id", BigInteger, ForeignKey("snapshots.id"), primary_key=True),
    Column("part", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

#: What waits for approval. scope: `roster` where rows of a roster are held, `declared` where documents alone are: an
#: apply without a fresh roster knows nothing of the first. causes: JSON list of sentences.
holds = Table(
    "holds",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("hold_id", Text, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("causes", Text, nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)
