"""Build the SQL of a row's image: the JSON of its columns that the journal keeps and an undo compares."""

from reconciler.model.kind import Kind
from reconciler.store.database.dialect import Dialect
from reconciler.store.read.roster_frames import MAIN_FIRST, ROSTER_ISSUER
from reconciler.store.tables import durable

#: Columns left out of an image: the row's own keys, the password hash, and columns that every run writes.
EXCLUDED_COLUMNS = frozenset({"id", "customer_id", "password_hash", "written", "inputs"})
#: Columns that an image stores as 0 or 1, in both databases.
BOOLEAN_COLUMNS = frozenset({"is_primary"})

#: The main sourcedId of an account, and its aliases, one per line.
SUBJECT_SQL = (
    f"(SELECT i.subject FROM identities i WHERE i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER}"
    f" ORDER BY {MAIN_FIRST} LIMIT 1)"
)
ALIASES_SQL = (
    f"(SELECT {{lines}} FROM identities i WHERE i.alias = 1 AND i.account_id = t.id AND +i.issuer_id = {ROSTER_ISSUER})"
)
ROLES_SQL = "(SELECT {lines} FROM account_roles r JOIN orgs o ON o.id = r.org_id WHERE r.account_id = t.id)"


def build_image_sql(dialect: Dialect, kind: Kind | None, table: str) -> str:
    """Return SQL for the current image of a row `t` of a table; for accounts it needs the parameter `customer`."""
    return f"CAST({dialect.json_object}({_build_image_pairs(dialect, kind, table)}) AS TEXT)"


def _build_image_pairs(dialect: Dialect, kind: Kind | None, table: str) -> str:
    values = {
        column.name: f"CAST(t.{column.name} AS INTEGER)" if column.name in BOOLEAN_COLUMNS else f"t.{column.name}"
        for column in durable.tables[table].columns
        if column.name not in EXCLUDED_COLUMNS
    }
    if kind is Kind.USER:
        values["sourced_id"] = SUBJECT_SQL
        values["aliases"] = ALIASES_SQL.format(lines=dialect.build_lines_aggregate("i.subject"))
        values["roles"] = ROLES_SQL.format(lines=dialect.build_lines_aggregate("o.sourced_id || '=' || r.role"))
    return ", ".join(f"'{name}', {value}" for name, value in values.items())
