"""Define the table of the store itself and those of YAML: customers, communities, lessons and secrets."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, func, text

from reconciler.store.tables.metadata import ID_TYPE, durable, make_id_column, make_moment_column, make_origin_columns

#: The identity of the store, in one row.
store = Table(
    "store",
    durable,
    Column("uuid", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("key_check", Text, nullable=False),
    make_moment_column("created_at", nullable=False),
    # The settings digest, last run and write counter of the shared lessons, which have no customer.
    Column("catalogue_digest", Text),
    Column("catalogue_run", BigInteger, nullable=False, server_default="0"),
    Column("catalogue_writes", BigInteger, nullable=False, server_default="0"),
    # The hash of the newest run, and its HMAC under the store key.
    Column("head_hash", Text),
    Column("head_seal", Text),
)

customers = Table(
    "customers",
    durable,
    make_id_column(),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    # JSON of the resolved customer.
    Column("document", Text, nullable=False),
    # The document as a run wrote it; null if no run did (here and in the tables below).
    Column("written", Text),
    # Of customer, communities and lessons together; null once one of them was changed outside reconciler.
    Column("settings_digest", Text),
    # A digest of the files that the settings were last read from (`config.inputs`).
    Column("inputs", Text),
    Column("span_file", Text),
    Column("span_line", BigInteger),
    Column("last_run", BigInteger),
    Column("created_run", BigInteger),
    make_moment_column("tombstoned_at"),
    sqlite_autoincrement=True,
)

#: A write that leaves origin_run unchanged comes from outside reconciler.
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
    make_moment_column("tombstoned_at"),
    UniqueConstraint("customer_id", "slug"),
    sqlite_autoincrement=True,
)

#: customer_id is null for a lesson of the shared catalog.
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
    make_moment_column("tombstoned_at"),
    sqlite_autoincrement=True,
)
Index("uq_lessons_owner_slug", func.coalesce(lessons.c.customer_id, 0), lessons.c.slug, unique=True)

#: ciphertext is set only if the web service needs the value itself (LTI).
secrets = Table(
    "secrets",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("reference", Text),
    Column("hmac", Text, nullable=False),
    Column("ciphertext", LargeBinary),
    Column("changed_run", BigInteger, nullable=False),
    # Of the key of hmac and ciphertext; null in rows from before keys had ids (here and in other tables).
    Column("key_id", Text),
)

#: An LMS of a customer, by the consumer key of its launches. The rows follow the customer's document.
lti_platforms = Table(
    "lti_platforms",
    durable,
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("consumer_key", Text, primary_key=True),
    # The ID in YAML, and the community of people who arrive through the LMS.
    Column("platform", Text, nullable=False),
    Column("community", Text),
    # Null while the key is in use. After that no other customer gets the key before this moment, so that no launch of
    # an LMS which still has it reaches somebody else.
    make_moment_column("reserved_until"),
    Index(
        "uq_lti_platforms_consumer_key",
        "consumer_key",
        unique=True,
        sqlite_where=text("reserved_until IS NULL"),
        postgresql_where=text("reserved_until IS NULL"),
    ),
)

#: The number of writes outside reconciler to the rows that a plan compares, by customer. Counted by triggers.
write_counters = Table(
    "write_counters",
    durable,
    Column("customer_id", ID_TYPE, ForeignKey("customers.id"), primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False, server_default="0"),
)
