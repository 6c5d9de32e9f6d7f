"""Define the tables of accounts, their identities, roles, memberships and invitations.

They have no foreign keys: a bulk write of a million rows would pay for each, and an apply resolves every reference by
a join before it writes.
"""

from sqlalchemy import BigInteger, Column, Index, Table, Text, UniqueConstraint, text

from reconciler.store.tables import metadata

#: A source of subjects, by names such as `springfield/main`, `springfield/config` and `springfield/lti/canvas`.
issuers = Table(
    "issuers",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: A subject of an issuer that identifies an account.
identities = Table(
    "identities",
    metadata.durable,
    metadata.make_id_column(),
    Column("issuer_id", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("customer_id", BigInteger, nullable=False),
    # The run that last wrote the row; null if it was written outside reconciler.
    Column("run", BigInteger),
    # The customer's write counter when the row was written outside reconciler, so that an apply recognizes links newer
    # than its plan.
    Column("write_number", BigInteger),
    # 1 for a further sourcedId of a person who has several, null for the main one.
    Column("alias", BigInteger),
    UniqueConstraint("issuer_id", "subject"),
    sqlite_autoincrement=True,
)

accounts = Table(
    "accounts",
    metadata.durable,
    metadata.make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("managed_by", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("middle_name", Text),
    Column("email", Text),
    Column("username", Text),
    # The username without differences of case and of what nobody sees (`model.text_form.make_caseless_form`), unique
    # among a customer's active accounts.
    Column("username_key", Text),
    Column("roster_username", Text),
    Column("identifier", Text),
    Column("grades", Text),
    Column("role", Text),
    Column("password_hash", Text),
    # Of the roster's key and fields; null once they were written outside reconciler, 0 if deleted.
    Column("fingerprint", BigInteger),
    *metadata.make_origin_columns(),
    *metadata.make_lifetime_columns(),
    # The account that took over this one's rows, if it was deleted because both belonged to one person.
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

account_roles = Table(
    "account_roles",
    metadata.durable,
    Column("account_id", BigInteger, nullable=False),
    Column("org_id", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_id", BigInteger, nullable=False, index=True),
    # The run that last wrote the row; null if it was written outside reconciler, negative while a run removes it.
    Column("run", BigInteger),
    UniqueConstraint("account_id", "org_id", "role"),
)

memberships = Table(
    "memberships",
    metadata.durable,
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
    metadata.durable,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    metadata.make_moment_column("created_at", nullable=False),
    metadata.make_moment_column("expires_at", nullable=False),
    metadata.make_moment_column("used_at"),
)
