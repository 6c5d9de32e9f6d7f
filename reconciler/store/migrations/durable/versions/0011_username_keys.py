"""Keys of usernames without what nobody sees, so that two people cannot have usernames that look the same."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.model.text_form import make_caseless_form

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: Conditions that select usernames of which the key may differ from the username in lowercase.
ODD = {
    "sqlite": "length(CAST(username AS BLOB)) <> length(username) OR username LIKE '%  %'",
    "postgresql": "octet_length(username) <> char_length(username) OR username LIKE '%  %'",
}
ODD_SQL = """
SELECT id, customer_id, username, username_key, tombstoned_at FROM accounts
WHERE username_key IS NOT NULL AND ({odd}) ORDER BY customer_id, id
"""
HOLDER_SQL = sa.text(
    "SELECT id FROM accounts WHERE customer_id = :customer AND username_key = :key AND tombstoned_at IS NULL"
)


def upgrade() -> None:
    connection = op.get_bind()
    accounts = connection.execute(sa.text(ODD_SQL.format(odd=ODD[connection.dialect.name]))).all()
    keys = {each.id: make_caseless_form(each.username) for each in accounts}
    holders: dict[tuple[int, str], set[int]] = {}
    for each in accounts:
        if each.tombstoned_at is None:
            place = (each.customer_id, keys[each.id])
            known = holders.setdefault(place, set())
            known.add(each.id)
            known.update(connection.execute(HOLDER_SQL, {"customer": each.customer_id, "key": keys[each.id]}).scalars())
    # Active accounts whose usernames look the same keep their present keys, since the index allows one of each. The
    # next plan quarantines rows that would change them.
    clashing = {account for several in holders.values() if len(several) > 1 for account in several}
    changed = [
        {"id": each.id, "key": keys[each.id]}
        for each in accounts
        if keys[each.id] != each.username_key and each.id not in clashing
    ]
    if changed:
        connection.execute(sa.text("UPDATE accounts SET username_key = NULL WHERE id = :id"), changed)
        connection.execute(sa.text("UPDATE accounts SET username_key = :key WHERE id = :id"), changed)
