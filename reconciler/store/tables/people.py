"""Accounts, what identifies them, and what they belong to.

These tables carry no foreign keys: a bulk write of a million rows would pay for each, and an apply resolves
every reference by a join before it writes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text, UniqueConstraint, text

from reconciler.store.tables.metadata import durable, make_id_column, make_lifetime_columns, make_origin_columns

#: name: who knows the subjects (`springfield/main`, `springfield/config`, `springfield/lti/canvas`).
issuers = Table(
    "issuers",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: run: the run that wrote it last, null for another hand. write_number: the customer's write counter when
#: another hand bound it, so that an apply can tell a link that is newer than its plan. alias: 1 for a further sourcedId
#: of a person who has several, null for the one that the account is known by.
identities = Table(
    "identities",
    durable,
    make_id_column(),
    Column("issuer_id", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger, nullable=False),
    Column("run", BigInteger),
    Column("write_number", BigInteger),
    Column("alias", BigInteger),
    UniqueConstraint("issuer_id", "subject"),
    sqlite_autoincrement=True,
)

#: username_key: the username in lower case, unique among a customer's live accounts. fingerprint: of the
#: roster's key and fields, null once another hand wrote to them, 0 for a tombstone. merged_into: the account that has
#: what this one had, while it is deleted because both were one person's.
accounts = Table(
    "accounts",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("managed_by", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("middle_name", Text),
    Column("email", Text),
    Column("username", Text),
    Column("username_key", Text),
    Column("roster_username", Text),
    Column("identifier", Text),
    Column("grades", Text),
    Column("role", Text),
    Column("password_hash", Text),
    Column("fingerprint", BigInteger),
    *make_origin_columns(),
    *make_lifetime_columns(),
    Column("merged_into", BigInteger),
    sqlite_autoincrement=True,
)
Index(
    "uq_accounts_customer_id_username_key",
    accounts.c.customer_id,
    accounts.c.username_key,
    unique=True,
    sqlite_where=text("tombstoned_at IS NULL"),
    postgresql_where=text("tombstoned_at IS NULL"),
)
Index("ix_accounts_customer_id", accounts.c.customer_id)

#: run: the run that wrote it last, null for another hand, negative while a run takes it away.
account_roles = Table(
    "account_roles",
    durable,
    Column("account_id", BigInteger, nullable=False),
    Column("org_id", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_id", BigInteger, nullable=False, index=True),
    Column("run", BigInteger),
    UniqueConstraint("account_id", "org_id", "role"),
)

memberships = Table(
    "memberships",
    durable,
    Column("account_id", BigInteger, nullable=False),
    Column("community_id", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("customer_id", BigInteger, nullable=False, index=True),
    UniqueConstraint("account_id", "community_id", "role", "source"),
    Index("ix_memberships_community_id", "community_id"),
)

invitations = Table(
    "invitations",
    durable,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("used_at", Text),
)
