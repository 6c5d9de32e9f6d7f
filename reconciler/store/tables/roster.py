"""Define the tables of orgs, classes and enrollments from rosters, and of lessons assigned to classes and people.

They have no foreign keys, for the reason given in `tables.people`.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, UniqueConstraint

from reconciler.store.tables import metadata

orgs = Table(
    "orgs",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("sourced_id", Text, nullable=False),
    Column("name", Text),
    Column("type", Text),
    Column("identifier", Text),
    Column("parent_id", BigInteger),
    Column("fingerprint", BigInteger),
    *metadata.make_origin_columns(),
    *metadata.make_lifetime_columns(),
    UniqueConstraint("customer_id", "sourced_id"),
    sqlite_autoincrement=True,
)

#: Every active org paired with each org above it; depth 0 is the org itself.
org_closure = Table(
    "org_closure",
    metadata.durable,
    Column("ancestor_id", BigInteger, nullable=False),
    Column("descendant_id", BigInteger, nullable=False),
    Column("depth", BigInteger, nullable=False),
    Column("customer_id", BigInteger, nullable=False, index=True),
    UniqueConstraint("ancestor_id", "descendant_id"),
)

#: org_id is the school. concluded_at is the moment it ended with its term: set with tombstoned_at, and never purged.
classes = Table(
    "classes",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("sourced_id", Text, nullable=False),
    Column("org_id", BigInteger),
    Column("title", Text),
    Column("class_code", Text),
    Column("class_type", Text),
    Column("course", Text),
    Column("terms", Text),
    Column("grades", Text),
    Column("fingerprint", BigInteger),
    *metadata.make_origin_columns(),
    *metadata.make_lifetime_columns(),
    metadata.make_moment_column("concluded_at"),
    UniqueConstraint("customer_id", "sourced_id"),
    sqlite_autoincrement=True,
)

enrollments = Table(
    "enrollments",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("sourced_id", Text, nullable=False),
    Column("class_id", BigInteger, nullable=False, index=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("role", Text),
    Column("is_primary", Boolean),
    Column("begin_date", Text),
    Column("end_date", Text),
    Column("fingerprint", BigInteger),
    *metadata.make_origin_columns(),
    *metadata.make_lifetime_columns(),
    metadata.make_moment_column("concluded_at"),
    UniqueConstraint("customer_id", "sourced_id"),
    sqlite_autoincrement=True,
)

#: A lesson assigned to a class or to one account: exactly one of class_id and account_id is set.
assignments = Table(
    "assignments",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False, index=True),
    Column("lesson_id", BigInteger, nullable=False),
    Column("class_id", BigInteger),
    Column("account_id", BigInteger),
    metadata.make_moment_column("created_at", nullable=False),
    metadata.make_moment_column("tombstoned_at"),
    Index("ix_assignments_class_id", "class_id"),
    Index("ix_assignments_account_id", "account_id"),
    sqlite_autoincrement=True,
)
