"""State that may be lost: sessions, nonces, throttles, last sign-ins. Written by the web service only."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from reconciler.store.tables.metadata import ID_TYPE, volatile

#: token_hash: SHA-256 of the cookie's value, never the value.
sessions = Table(
    "sessions",
    volatile,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("data", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False, index=True),
)

#: One-time values of LTI launches, until they expire.
nonces = Table(
    "nonces",
    volatile,
    Column("consumer_key", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("expires_at", Text, nullable=False, index=True),
)

#: Failed attempts in the current window, by what is throttled (`login:ADDRESS`).
throttles = Table(
    "throttles",
    volatile,
    Column("key", Text, primary_key=True),
    Column("window_start", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Index("ix_throttles_window_start", "window_start"),
)

last_sign_ins = Table(
    "last_sign_ins",
    volatile,
    Column("account_id", ID_TYPE, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
)
