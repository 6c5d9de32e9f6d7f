"""Build the triggers of revision 0001, which reset the fingerprint of each row written outside reconciler.

An apply never fires them: it changes the fingerprint (or `run`, `origin_run`, `settings_digest`) of every row it
writes. A write that leaves that column unchanged, or a new row without it, comes from outside reconciler: the row's
fingerprint becomes null, and the customer's write counter increases by one. If the write deletes the row or changes
its sourcedId, the fingerprints of the rows that refer to it become null as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

#: The columns that a plan compares; others (a password, an origin) may change unnoticed.
WATCHED_COLUMNS = {
    "orgs": "id, customer_id, sourced_id, name, type, identifier, parent_id, tombstoned_at",
    "accounts": "id, customer_id, managed_by, status, given_name, family_name, middle_name, email, username, "
    "roster_username, identifier, grades, role, tombstoned_at",
    "classes": "id, customer_id, sourced_id, org_id, title, class_code, class_type, course, terms, grades, "
    "tombstoned_at",
    "enrollments": "customer_id, sourced_id, class_id, account_id, role, is_primary, begin_date, end_date, "
    "tombstoned_at",
}
DOCUMENT_COLUMNS = {
    "communities": "customer_id, slug, name, document, tombstoned_at",
    "lessons": "customer_id, slug, title, document, tombstoned_at",
}
CUSTOMER_COLUMNS = "slug, name, status, document, tombstoned_at"
IDENTITY_COLUMNS = "issuer_id, subject, account_id, customer_id"
#: Table -> (table, condition) of the rows that refer to one of its rows by id.
REFERRING_ROWS = {
    "orgs": (
        ("orgs", "customer_id = OLD.customer_id AND parent_id = OLD.id"),
        ("classes", "customer_id = OLD.customer_id AND org_id = OLD.id"),
        (
            "accounts",
            "id IN (SELECT account_id FROM account_roles WHERE customer_id = OLD.customer_id AND org_id = OLD.id)",
        ),
    ),
    "accounts": (("enrollments", "account_id = OLD.id"),),
    "classes": (("enrollments", "class_id = OLD.id"),),
}
#: The columns by which other rows refer to a row; an apply never changes them.
KEY_COLUMNS = {"orgs": ("id", "sourced_id"), "accounts": ("id",), "classes": ("id", "sourced_id")}

EXTERNAL_DELETE = "OLD.run IS NULL OR OLD.run > 0"


def build_counter_bump(row: str) -> str:
    return f"UPDATE write_counters SET n = n + 1 WHERE customer_id = {row}.customer_id;"


def build_account_reset(row: str) -> str:
    return f"UPDATE accounts SET fingerprint = NULL WHERE id = {row}.account_id AND fingerprint IS NOT NULL;"


def build_identity_reset(row: str) -> str:
    """Return SQL that resets the account and its enrollments, if the identity is the roster's: a fingerprint does not
    cover an LMS link.
    """
    rostered = f"EXISTS (SELECT 1 FROM issuers WHERE issuers.id = {row}.issuer_id AND issuers.kind = 'roster')"
    return " ".join(
        f"UPDATE {table} SET fingerprint = NULL WHERE {column} = {row}.account_id AND fingerprint IS NOT NULL"
        f" AND {rostered};"
        for table, column in (("accounts", "id"), ("enrollments", "account_id"))
    )


def build_referrer_reset(table: str) -> str:
    """Return SQL that resets the fingerprints of the rows that refer to OLD."""
    return " ".join(
        f"UPDATE {referring} SET fingerprint = NULL WHERE {which} AND fingerprint IS NOT NULL;"
        for referring, which in REFERRING_ROWS.get(table, ())
    )


def build_write_number_update(row: str) -> str:
    return (
        "UPDATE identities SET write_number = (SELECT n FROM write_counters"
        f" WHERE write_counters.customer_id = {row}.customer_id) WHERE id = {row}.id;"
    )


def build_settings_reset(table: str, row: str) -> str:
    reset = f"UPDATE customers SET settings_digest = NULL WHERE id = {row}.customer_id AND settings_digest IS NOT NULL;"
    catalog_reset = (
        f"UPDATE store SET catalogue_digest = NULL, catalogue_writes = catalogue_writes + 1"
        f" WHERE {row}.customer_id IS NULL;"
    )
    return f"{reset} {build_counter_bump(row)}" + (f" {catalog_reset}" if table == "lessons" else "")


COUNTER_INSERT = "INSERT INTO write_counters (customer_id, n) VALUES (NEW.id, 0) ON CONFLICT (customer_id) DO NOTHING;"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, described independently of the database."""

    table: str
    event: str
    body: str
    #: comma-separated; empty for all
    columns: str = ""
    when: str = ""
    #: column of the row itself; the trigger fires only if a write leaves it as it was
    unchanged_column: str = ""
    #: column of the row itself that the trigger sets to NULL
    reset_column: str = ""
    #: end of the name; empty for the event
    suffix: str = ""

    @property
    def name(self) -> str:
        return f"{self.table}_foreign_{self.suffix or self.event.lower()}"

    @property
    def target(self) -> str:
        return f"{self.event} OF {self.columns} ON {self.table}" if self.columns else f"{self.event} ON {self.table}"

    def render_sqlite(self) -> str:
        when = f"NEW.{self.unchanged_column} IS OLD.{self.unchanged_column}" if self.unchanged_column else self.when
        # The WHERE stops the recursion if SQLite was built with recursive triggers.
        reset = (
            f"UPDATE {self.table} SET {self.reset_column} = NULL"
            f" WHERE id = NEW.id AND {self.reset_column} IS NOT NULL; "
            if self.reset_column
            else ""
        )
        condition = f"WHEN {when} " if when else ""
        return f"CREATE TRIGGER {self.name} AFTER {self.target} FOR EACH ROW {condition}BEGIN {reset}{self.body} END"

    def render_postgresql(self) -> tuple[str, str]:
        when = (
            f"NEW.{self.unchanged_column} IS NOT DISTINCT FROM OLD.{self.unchanged_column}"
            if self.unchanged_column
            else self.when
        )
        reset = f"NEW.{self.reset_column} := NULL; " if self.reset_column else ""
        moment = "BEFORE" if self.reset_column else "AFTER"
        condition = f"WHEN ({when}) " if when else ""
        function = (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {reset}{self.body} RETURN {'OLD' if self.event == 'DELETE' else 'NEW'}; END $$"
        )
        return function, (
            f"CREATE TRIGGER {self.name} {moment} {self.target} FOR EACH ROW {condition}EXECUTE FUNCTION {self.name}()"
        )


def build_triggers() -> Iterator[Trigger]:
    for table, columns in WATCHED_COLUMNS.items():
        yield Trigger(table, "INSERT", build_counter_bump("NEW"), when="NEW.fingerprint IS NULL")
        yield Trigger(
            table,
            "UPDATE",
            build_counter_bump("NEW"),
            columns=columns,
            unchanged_column="fingerprint",
            reset_column="fingerprint",
        )
        yield Trigger(table, "DELETE", f"{build_referrer_reset(table)} {build_counter_bump('OLD')}")
    for table, names in KEY_COLUMNS.items():
        differs = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in names)
        yield Trigger(
            table, "UPDATE", build_referrer_reset(table), columns=", ".join(names), when=differs, suffix="renamed"
        )
    for table, columns in DOCUMENT_COLUMNS.items():
        settings = build_settings_reset(table, "NEW")
        yield Trigger(table, "INSERT", settings, when="NEW.origin_run IS NULL")
        yield Trigger(table, "UPDATE", settings, columns=columns, unchanged_column="origin_run")
        yield Trigger(table, "DELETE", build_settings_reset(table, "OLD"))
    role_written = build_account_reset("NEW") + " " + build_counter_bump("NEW")
    yield Trigger("account_roles", "INSERT", role_written, when="NEW.run IS NULL")
    yield Trigger("account_roles", "UPDATE", f"{build_account_reset('OLD')} {role_written}", unchanged_column="run")
    yield Trigger(
        "account_roles", "DELETE", build_account_reset("OLD") + " " + build_counter_bump("OLD"), when=EXTERNAL_DELETE
    )
    identity_written = " ".join(
        (build_identity_reset("NEW"), build_counter_bump("NEW"), build_write_number_update("NEW"))
    )
    yield Trigger("identities", "INSERT", identity_written, when="NEW.run IS NULL")
    yield Trigger(
        "identities",
        "UPDATE",
        f"{build_identity_reset('OLD')} {identity_written}",
        columns=IDENTITY_COLUMNS,
        unchanged_column="run",
    )
    yield Trigger(
        "identities", "DELETE", build_identity_reset("OLD") + " " + build_counter_bump("OLD"), when=EXTERNAL_DELETE
    )
    yield Trigger("customers", "INSERT", COUNTER_INSERT)
    yield Trigger(
        "customers",
        "UPDATE",
        build_counter_bump("NEW").replace("NEW.customer_id", "NEW.id"),
        columns=CUSTOMER_COLUMNS,
        unchanged_column="settings_digest",
        reset_column="settings_digest",
    )


def build_trigger_statements(dialect: str) -> Iterator[str]:
    for trigger in build_triggers():
        yield from _render_trigger(trigger, dialect)


def _render_trigger(trigger: Trigger, dialect: str) -> tuple[str, ...]:
    return (trigger.render_sqlite(),) if dialect == "sqlite" else trigger.render_postgresql()


TRIGGERS_SQL = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'trigger'",
    "postgresql": "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relnamespace = to_regnamespace(current_schema())",
}


def list_lost_triggers(connection: Connection) -> tuple[str, ...]:
    """Return the names of the triggers that the store lacks."""
    found = set(connection.execute(text(TRIGGERS_SQL[connection.dialect.name])).scalars())
    return tuple(trigger.name for trigger in build_triggers() if trigger.name not in found)


def drop_triggers(connection: Connection) -> None:
    """Drop all triggers, so that a migration may rebuild tables and its writes do not count as writes from outside."""
    for trigger in build_triggers():
        on_table = f" ON {trigger.table}" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger.name}{on_table}")


def restore_triggers(connection: Connection) -> None:
    """Create the triggers that the store lacks."""
    lost = list_lost_triggers(connection)
    for trigger in build_triggers():
        if trigger.name in lost:
            # One that is disabled still exists.
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}")
            for statement in _render_trigger(trigger, connection.dialect.name):
                connection.exec_driver_sql(statement)


def forget_fingerprints(connection: Connection) -> None:
    """Have the next plan compare every row and document, because writes outside reconciler went unnoticed."""
    for table in WATCHED_COLUMNS:
        connection.execute(text(f"UPDATE {table} SET fingerprint = NULL WHERE fingerprint IS NOT NULL"))
    connection.execute(text("UPDATE customers SET settings_digest = NULL"))
    connection.execute(text("UPDATE store SET catalogue_digest = NULL"))
