"""Define the tables of runs, before-images, limits, certificates, erased people, last good rosters and holds."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text

from reconciler.store.tables.metadata import durable, make_id_column, make_moment_column

runs = Table(
    "runs",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, index=True),
    Column("customer_slug", Text, nullable=False),
    Column("plan_id", Text, nullable=False),
    make_moment_column("started_at", nullable=False),
    make_moment_column("finished_at", nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("git_commit", Text),
    Column("approvals", Text, nullable=False),
    Column("source_sha256", Text),
    Column("settings_digest", Text),
    # The run that this one reverses.
    Column("undoes", BigInteger),
    Column("previous_hash", Text),
    # The digests of its before-images, combined; null for a run of an earlier version.
    Column("journal_digest", Text),
    # SHA-256 of previous_hash and the row, so that `history --verify` detects a changed row.
    Column("hash", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: Keyed digests of a run's effects, for `apply --expect PLAN_ID`. They name nobody; data has 8 bytes per effect.
run_effects = Table(
    "run_effects",
    durable,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_id", BigInteger, index=True),
    Column("data", LargeBinary, nullable=False),
)

#: The before-image of each row that a run changed. A row that a run created has none: its created_run names the run.
journal = Table(
    "journal",
    durable,
    make_id_column(),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger),
    Column("kind", Text, nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    # JSON of the row before the change.
    Column("before", Text, nullable=False),
    Index("ix_journal_kind_row_id", "kind", "row_id"),
    sqlite_autoincrement=True,
)

#: The keyed digest of each before-image as its run wrote it (certificate_id 0), and as it is after a lawful removal.
#: Names nobody. A certificate for before-images of earlier versions also has one for each of their runs (entry_id 0).
image_digests = Table(
    "image_digests",
    durable,
    Column("certificate_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    # The id in the journal.
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    # Null if the before-image was removed.
    Column("digest", Text),
    Index("ix_image_digests_entry_id_run_id", "entry_id", "run_id"),
    sqlite_with_rowid=False,
)

#: A change of a run that counts toward a limit because nobody approved it.
limit_uses = Table(
    "limit_uses",
    durable,
    make_id_column(),
    Column("run_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger, nullable=False),
    # Of the limit: `users`, `rekeys`, ...
    Column("name", Text, nullable=False),
    # Of the account, class or enrollment.
    Column("row_id", BigInteger, nullable=False),
    # The sourcedIds of the person's orgs at that time, one per line; null for other rows.
    Column("schools", Text),
    make_moment_column("at", nullable=False),
    # Of a lost enrollment, because its row may be somebody else's later; null for other rows.
    Column("account_id", BigInteger),
    Column("class_id", BigInteger),
    Index("ix_limit_uses_customer_id_at", "customer_id", "at"),
    sqlite_autoincrement=True,
)

#: A permanent deletion by `purge` (retention) or `erase` (request), its lifting (`lift`), or the digests of
#: before-images of earlier versions (`seal`). Names nobody.
certificates = Table(
    "certificates",
    durable,
    make_id_column(),
    Column("kind", Text, nullable=False),
    Column("customer_slug", Text, nullable=False),
    Column("request", Text),
    make_moment_column("at", nullable=False),
    Column("actor", Text, nullable=False),
    # JSON of the numbers of rows by table.
    Column("counts", Text, nullable=False),
    # The digests of the before-images that it removed, changed or sealed, combined; null if there are none.
    Column("images", Text),
    # HMAC of the row under the store key of that time.
    Column("seal", Text, nullable=False),
    Column("key_id", Text),
    sqlite_autoincrement=True,
)

#: A person who was erased on request and must not be restored. trace is the HMAC of the sourcedId under the store key.
erased = Table(
    "erased",
    durable,
    Column("customer_id", BigInteger, primary_key=True),
    Column("trace", Text, primary_key=True),
    Column("certificate_id", BigInteger, nullable=False),
    # Of the key of trace, which nobody can compute anew.
    Column("key_id", Text),
)

#: The last good roster of a customer.
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
    make_moment_column("fetched_at", nullable=False),
    Column("complete", Boolean, nullable=False),
    # JSON of the numbers of rows by file.
    Column("rows", Text, nullable=False),
    # JSON of the facts that gates compare later rosters with.
    Column("facts", Text, nullable=False, server_default="{}"),
    sqlite_autoincrement=True,
)

#: A slice of a snapshot's frame, as Parquet (zstd).
snapshot_parts = Table(
    "snapshot_parts",
    durable,
    Column("snapshot_id", BigInteger, ForeignKey("snapshots.id"), primary_key=True),
    Column("part", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

#: A set of changes that waits for approval. scope is `roster` if roster rows are held and `declared` if only documents
#: are, because an apply without a fresh roster cannot know the former. causes is a JSON list of sentences.
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
    make_moment_column("created_at", nullable=False),
)
