"""Keep nonces, one-use tokens and sessions: what a visit leaves, in tables that may be lost."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from reconciler.model.ids import Moment
from reconciler.model.moment import add_span
from reconciler.store.service.database import RequestConnection, RequestDatabase
from reconciler.store.service.statement import build_statement

#: Bytes of a token; its text is a third longer
_TOKEN_BYTES = 32

_ADD_NONCE = build_statement(
    "INSERT INTO nonces (consumer_key, nonce, expires_at) VALUES (:key, :nonce, :until)"
    " ON CONFLICT (consumer_key, nonce) DO NOTHING"
)
_ADD_TOKEN = build_statement(
    "INSERT INTO one_use_tokens (token_hash, purpose, data, expires_at) VALUES (:hash, :purpose, :data, :until)"
)
_TAKE_TOKEN = build_statement(
    "DELETE FROM one_use_tokens WHERE token_hash = :hash AND purpose = :purpose RETURNING data, expires_at"
)
_ADD_SESSION = build_statement(
    "INSERT INTO sessions (token_hash, account_id, data, created_at, expires_at)"
    " VALUES (:hash, :account, :data, :now, :until)"
)
_FIND_SESSION = build_statement(
    "SELECT account_id, data, created_at, expires_at FROM sessions WHERE token_hash = :hash AND expires_at > :now"
)
_END_SESSION = build_statement("DELETE FROM sessions WHERE token_hash = :hash")
_END_SESSIONS = build_statement("DELETE FROM sessions WHERE account_id = :account AND token_hash <> :hash")
#: Rows that one transaction deletes, so that no launch waits long for it
_FORGOTTEN_AT_ONCE = 1_000
_FORGET = tuple(
    build_statement(
        f"DELETE FROM {table} WHERE ({key}) IN"
        f" (SELECT {key} FROM {table} WHERE expires_at <= :now LIMIT {_FORGOTTEN_AT_ONCE})"
    )
    for table, key in (("nonces", "consumer_key, nonce"), ("one_use_tokens", "token_hash"), ("sessions", "token_hash"))
)
_NOTE_SIGN_IN = build_statement(
    "INSERT INTO last_sign_ins (account_id, at) VALUES (:account, :now)"
    " ON CONFLICT (account_id) DO UPDATE SET at = excluded.at"
)


def make_token() -> str:
    """Return a new random token, for a cookie or a path; only its hash is ever stored."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token, as the store keeps it."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """The session of somebody who is signed in, in one browser."""

    account: int
    data: Mapping[str, Any]
    created_at: Moment
    expires_at: Moment


def keep_nonce(connection: RequestConnection, consumer_key: str, nonce: str, until: Moment) -> bool:
    """Keep a nonce; return False if the key has it already. Of two requests at the same moment, one gets False."""
    return connection.execute(_ADD_NONCE, {"key": consumer_key, "nonce": nonce, "until": until}) == 1


def issue_token(
    connection: RequestConnection, purpose: str, data: Mapping[str, Any], now: Moment, span: timedelta
) -> str:
    """Return a new token that `redeem_token` takes once, within a span and for the same purpose."""
    token = make_token()
    facts = {
        "hash": hash_token(token),
        "purpose": purpose,
        "data": orjson.dumps(data).decode(),
        "until": add_span(now, span),
    }
    connection.execute(_ADD_TOKEN, facts)
    return token


def redeem_token(connection: RequestConnection, purpose: str, token: str, now: Moment) -> Mapping[str, Any] | None:
    """Return the data of a token and forget it; None if it is unknown, used, for another purpose or expired."""
    rows = connection.fetch(_TAKE_TOKEN, {"hash": hash_token(token), "purpose": purpose})
    if not rows or rows[0][1] <= now:
        return None
    data: Mapping[str, Any] = orjson.loads(rows[0][0])
    return data


def begin_session(
    connection: RequestConnection, account: int, data: Mapping[str, Any], now: Moment, span: timedelta
) -> str:
    """Begin a session and note the sign-in; return the value of its cookie.

    account: 0 for a guest.
    """
    token = make_token()
    connection.execute(
        _ADD_SESSION,
        {
            "hash": hash_token(token),
            "account": account,
            "data": orjson.dumps(data).decode(),
            "now": now,
            "until": add_span(now, span),
        },
    )
    if account:
        connection.execute(_NOTE_SIGN_IN, {"account": account, "now": now})
    return token


def find_session(database: RequestDatabase | RequestConnection, token: str, now: Moment) -> Session | None:
    """Return the session of a cookie's value, or None if there is none or it has ended."""
    rows = database.fetch(_FIND_SESSION, {"hash": hash_token(token), "now": now})
    return Session(rows[0][0], orjson.loads(rows[0][1]), rows[0][2], rows[0][3]) if rows else None


def end_session(connection: RequestConnection, token: str) -> None:
    """End the session of a cookie's value."""
    connection.execute(_END_SESSION, {"hash": hash_token(token)})


def end_other_sessions(connection: RequestConnection, account: int, token: str) -> int:
    """End all sessions of an account but one; return how many."""
    return connection.execute(_END_SESSIONS, {"account": account, "hash": hash_token(token)})


def forget_expired(database: RequestDatabase, now: Moment) -> int:
    """Delete nonces, tokens and sessions that have expired, in short transactions; return how many.

    Raises RowsBusyError and DatabaseGoneError.
    """
    forgotten = 0
    for statement in _FORGET:
        deleted = _FORGOTTEN_AT_ONCE
        while deleted == _FORGOTTEN_AT_ONCE:
            with database.open_transaction(durable=False) as connection:
                deleted = connection.execute(statement, {"now": now})
            forgotten += deleted
    return forgotten
