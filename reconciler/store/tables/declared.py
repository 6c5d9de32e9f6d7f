"""The store itself, and what YAML declares: customers, communities, lessons, and their secrets' traces."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, func

from reconciler.store.tables.metadata import ID_TYPE, durable, make_id_column, make_origin_columns

#: One row. catalogue_*: the settings digest, last run and write counter of the shared lessons, which have no
#: customer. head_hash: the hash of the newest run of the chain; head_seal: its HMAC under
#: the store's key.
store = Table(
    "store",
    durable,
    Column("uuid", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("key_check", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("catalogue_digest", Text),
    Column("catalogue_run", BigInteger, nullable=False, server_default="0"),
    Column("catalogue_writes", BigInteger, nullable=False, server_default="0"),
    Column("head_hash", Text),
    Column("head_seal", Text),
)

#: document: JSON of the resolved customer. written: the document as its run wrote it; here and below, null where no run
#: did. settings_digest: of customer, communities and lessons together; null once anything of these was changed by
#: another hand. inputs: a digest of the files that its settings were last read from (`config.inputs`).
customers = Table(
    "customers",
    durable,
    make_id_column(),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("written", Text),
    Column("settings_digest", Text),
    Column("inputs", Text),
    Column("span_file", Text),
    Column("span_line", BigInteger),
    Column("last_run", BigInteger),
    Column("created_run", BigInteger),
    Column("tombstoned_at", Text),
    sqlite_autoincrement=True,
)

#: origin_run: the run that wrote the row last. A write that leaves it as it was is another hand's.
communities = Table(
    "communities",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, ForeignKey("customers.id"), nullable=False),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("written", Text),
    *make_origin_columns(),
    Column("created_run", BigInteger),
    Column("tombstoned_at", Text),
    UniqueConstraint("customer_id", "slug"),
    sqlite_autoincrement=True,
)

#: customer_id null: a lesson of the catalogue.
lessons = Table(
    "lessons",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, ForeignKey("customers.id")),
    Column("slug", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("written", Text),
    *make_origin_columns(),
    Column("created_run", BigInteger),
    Column("tombstoned_at", Text),
    sqlite_autoincrement=True,
)
Index("uq_lessons_owner_slug", func.coalesce(lessons.c.customer_id, 0), lessons.c.slug, unique=True)

#: ciphertext only where the web service needs the value itself (LTI).
secrets = Table(
    "secrets",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("reference", Text),
    Column("hmac", Text, nullable=False),
    Column("ciphertext", LargeBinary),
    Column("changed_run", BigInteger, nullable=False),
)

#: How often another hand wrote to what a plan compares, by customer. Kept by triggers.
write_counters = Table(
    "write_counters",
    durable,
    Column("customer_id", ID_TYPE, ForeignKey("customers.id"), primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False, server_default="0"),
)
