"""Define the tables that may be lost, written only by the web service: sessions, nonces, throttles, last sign-ins."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from reconciler.store.tables.metadata import ID_TYPE, make_moment_column, volatile

#: token_hash is the SHA-256 of the cookie's value; the value is never stored.
sessions = Table(
    "sessions",
    volatile,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("data", Text, nullable=False),
    make_moment_column("created_at", nullable=False),
    make_moment_column("expires_at", nullable=False, index=True),
)

#: The one-time values of LTI launches, kept until they expire.
nonces = Table(
    "nonces",
    volatile,
    Column("consumer_key", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    make_moment_column("expires_at", nullable=False, index=True),
)

#: Values that lead one browser once to one page; token_hash is the SHA-256 of what its address contains.
one_use_tokens = Table(
    "one_use_tokens",
    volatile,
    Column("token_hash", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("data", Text, nullable=False),
    make_moment_column("expires_at", nullable=False, index=True),
)

#: The number of failed attempts in the current window, by throttled key (`login:ADDRESS`).
throttles = Table(
    "throttles",
    volatile,
    Column("key", Text, primary_key=True),
    make_moment_column("window_start", nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Index("ix_throttles_window_start", "window_start"),
)

last_sign_ins = Table(
    "last_sign_ins",
    volatile,
    Column("account_id", ID_TYPE, primary_key=True, autoincrement=False),
    make_moment_column("at", nullable=False),
)
