"""Records the rows of a store of the newest revision, for the tests of later upgrades.

Run it before the next migration is added: `python -m tests.support.stores.record_revision`.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reconciler.store.database.schema import DURABLE, VOLATILE, MigrationBranch
from tests.support.customers.project import KEY
from tests.support.stores import old_stores

ACCOUNT = "(SELECT account_id FROM identities WHERE subject = '{}')"
#: What an apply does not write.
MORE_ROWS = {
    DURABLE: f"""
INSERT INTO issuers (id, customer_id, name, kind) VALUES (3, 1, 'springfield/canvas', 'lti');
INSERT INTO identities (id, issuer_id, subject, account_id, customer_id)
    VALUES (100, 3, 'lms-5', {ACCOUNT.format("u-0005")}, 1);
INSERT INTO assignments (id, customer_id, lesson_id, class_id, account_id, created_at) VALUES
    (1, 1, 1, (SELECT min(id) FROM classes), NULL, '2026-11-20T08:00:00Z'),
    (2, 1, 1, NULL, {ACCOUNT.format(old_stores.REMOVED)}, '2026-11-20T08:00:00Z');
INSERT INTO invitations (token_hash, account_id, created_at, expires_at)
    VALUES ('5f2c', (SELECT min(id) FROM accounts), '2026-11-20T08:00:00Z', '2026-11-27T08:00:00Z');
INSERT INTO syncs (customer_id, schedule, next_at, attempted_at, outcome, since, fresh_at, changed_at)
    VALUES (1, 'sha256:00', '2026-12-02T02:00:00Z', '2026-12-01T03:00:00Z', 'unchanged', '2026-11-01T03:00:00Z',
    '2026-12-01T03:00:00Z', '2026-11-30T03:00:00Z');
INSERT INTO notices (id, customer_id, event, since, hold_id, people, sentences, at, stands)
    VALUES (1, 1, 'failed', '2026-11-20T08:00:00Z', '', 0, '[]', '2026-11-20T08:00:00Z', 0);
INSERT INTO outbox (id, message_id, customer_id, channel, address, kind, body, created_at, attempts, sent_at)
    VALUES (1, 'msg_1', 1, 'webhook', 'https://ops.example/hook', 'failed', '[]', '2026-11-20T08:00:00Z', 1,
    '2026-11-20T08:00:01Z');
INSERT INTO outbox_notices (outbox_id, notice_id, news) VALUES (1, 1, 1);
""",
    VOLATILE: """
DELETE FROM last_sign_ins;
INSERT INTO last_sign_ins VALUES (:account, '2026-11-21T08:00:00Z');
INSERT INTO sessions VALUES ('0a0b', :account, '{}', '2026-11-21T08:00:00Z', '2026-12-21T08:00:00Z');
INSERT INTO nonces VALUES ('springfield-canvas', 'n-1', '2026-11-21T09:00:00Z');
INSERT INTO throttles VALUES ('sign-in:ada', '2026-11-21T08:00:00Z', 2);
""",
}


def fill_store(folder: Path) -> None:
    for name, text in old_stores.DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    second = old_stores.build_second_day()
    old_stores.DAY_ONE.zip(folder / "day-1.zip")
    second.zip(folder / "day-2.zip")
    second.without_users(second.students()[:7]).zip(folder / "day-3.zip")
    variables = {**os.environ, **old_stores.SECRETS, "RECONCILER_KEY": KEY.hex(), "RECONCILER_ACTOR": "ann@pc"}
    for code, *arguments in (
        (0, "apply", "springfield", "--zip", "day-1.zip", "--yes"),
        (0, "apply", "--roster", "none", "--yes"),
        (0, "apply", "springfield", "--zip", "day-2.zip", "--yes"),
        (0, "erase", "springfield", old_stores.ERASED, "--request", "R-1", "--yes"),
        (3, "apply", "springfield", "--zip", "day-3.zip", "--yes"),
    ):
        command = [sys.executable, "-m", "reconciler", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=variables, check=False, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr


def dump_rows(connection: sqlite3.Connection, version_table: str) -> Iterator[str]:
    """Yields INSERT statements that both databases understand, but for the bytes."""
    asked = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    counters = []
    for (table,) in connection.execute(asked).fetchall():
        columns = [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")]
        names = ", ".join(name for name, _ in columns)
        rows = connection.execute(f"SELECT {names} FROM {table}").fetchall()
        if table == "write_counters":
            # Triggers insert these rows, and count while the others are inserted.
            counters = [f"UPDATE write_counters SET n = {n} WHERE customer_id = {customer};\n" for customer, n in rows]
        elif rows and table != version_table:
            kinds = [kind for _, kind in columns]
            values = ",\n".join(f"({', '.join(map(format_literal, row, kinds))})" for row in rows)
            yield f"INSERT INTO {table} ({names}) VALUES\n{values};\n"
    yield from counters


def format_literal(value: Any, kind: str) -> str:
    if value is None:
        return "NULL"
    if kind == "BOOLEAN":
        return "TRUE" if value else "FALSE"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def record(folder: Path, branch: MigrationBranch, file: str, account: int) -> None:
    with sqlite3.connect(folder / file) as connection:
        connection.executescript(MORE_ROWS[branch].replace(":account", str(account)))
        text = "".join(dump_rows(connection, branch.version_table))
    (old_stores.FOLDER / f"{branch.name}-{branch.head}.sql").write_text(text, encoding="utf-8")


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        fill_store(folder)
        with sqlite3.connect(folder / "store.db") as connection:
            account = connection.execute("SELECT account_id FROM identities WHERE subject = 'u-0005'").fetchone()[0]
        record(folder, DURABLE, "store.db", account)
        record(folder, VOLATILE, "store-volatile.db", account)


if __name__ == "__main__":
    main()
