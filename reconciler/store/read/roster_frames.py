"""Read roster rows from the store as frames, with references as sourcedIds.

A frame's columns are the key, the fields of `model.roster.ROSTER_FIELDS`, and the state of the row that a plan needs.
The names `class`, `user` and `primary` are quoted because they are SQL keywords. A `+` before a column stops SQLite,
which has no statistics, from using an index on a value that all rows of a customer share.
"""

import polars as pl

from reconciler.model.ids import CustomerNumber
from reconciler.model.kind import Kind
from reconciler.model.roster import ROSTER_FIELDS
from reconciler.store.database.connection import Connection

Schema = dict[str, pl.DataType | type[pl.DataType]]


def _build_field_schema(kind: Kind) -> Schema:
    return {field.name: pl.Boolean if field.boolean else pl.String for field in ROSTER_FIELDS[kind]}


KEY_COLUMNS: Schema = {"id": pl.Int64, "sourced_id": pl.String}
STATE_COLUMNS: Schema = {"fingerprint": pl.Int64, "tombstoned": pl.Boolean}

ORGS: Schema = {**KEY_COLUMNS, **_build_field_schema(Kind.ORG), **STATE_COLUMNS}
CLASSES: Schema = {**KEY_COLUMNS, **_build_field_schema(Kind.CLASS), **STATE_COLUMNS}
#: A row of USERS_SQL; there is one for each sourcedId of an account.
USER_IDENTITIES: Schema = {
    **KEY_COLUMNS,
    "managed_by": pl.String,
    **{
        name: kind for name, kind in _build_field_schema(Kind.USER).items() if name not in ("roles", "bound", "aliases")
    },
    **STATE_COLUMNS,
    "has_password": pl.Boolean,
    "lti_links": pl.Int64,
    "merged_into": pl.Int64,
    "alias": pl.Int64,
}
USERS: Schema = {
    **{name: kind for name, kind in USER_IDENTITIES.items() if name != "alias"},
    "aliases": pl.String,
    "bound": pl.Boolean,
}
ROLES: Schema = {"account_id": pl.Int64, "org": pl.String, "role": pl.String}
ENROLLMENTS: Schema = {
    **KEY_COLUMNS,
    **_build_field_schema(Kind.ENROLLMENT),
    **STATE_COLUMNS,
    "account_id": pl.Int64,
    "class_id": pl.Int64,
}
ENROLLMENT_INDEX: Schema = {"id": pl.Int64, "fingerprint": pl.Int64}
ASSIGNMENTS: Schema = {"account_id": pl.Int64, "class_id": pl.Int64}
ENROLLMENT_COUNTS: Schema = {"id": pl.Int64, "enrollments": pl.Int64, "classes": pl.Int64}

ROSTER_ISSUER = "(SELECT min(id) FROM issuers WHERE customer_id = :customer AND kind = 'roster')"

#: Sorts the main sourcedId of an account before its aliases.
MAIN_FIRST = "coalesce(i.alias, 0), i.subject"

ORGS_SQL = """
SELECT o.id, o.sourced_id, o.name, o.type, o.identifier, p.sourced_id AS parent, o.fingerprint,
       o.tombstoned_at IS NOT NULL AS tombstoned
FROM orgs o LEFT JOIN orgs p ON p.id = o.parent_id
WHERE o.customer_id = :customer ORDER BY o.id
"""

CLASSES_SQL = """
SELECT c.id, c.sourced_id, c.title, c.class_code, c.class_type, o.sourced_id AS school, c.course, c.terms, c.grades,
       c.fingerprint, c.tombstoned_at IS NOT NULL AS tombstoned
FROM classes c LEFT JOIN orgs o ON o.id = c.org_id
WHERE c.customer_id = :customer ORDER BY c.id
"""

USERS_SQL = f"""
SELECT a.id, i.subject AS sourced_id, a.managed_by, a.username, a.roster_username, a.given_name, a.family_name,
       a.middle_name, a.email, a.identifier, a.grades, a.role, a.status, a.fingerprint,
       a.tombstoned_at IS NOT NULL AS tombstoned, a.password_hash IS NOT NULL AS has_password,
       coalesce(l.n, 0) AS lti_links, a.merged_into, i.alias
FROM accounts a
LEFT JOIN identities i ON i.account_id = a.id AND +i.issuer_id = {ROSTER_ISSUER}
LEFT JOIN (
    SELECT account_id, count(*) AS n FROM identities
    WHERE issuer_id IN (SELECT id FROM issuers WHERE customer_id = :customer AND kind = 'lti') GROUP BY account_id
) l ON l.account_id = a.id
WHERE a.customer_id = :customer ORDER BY a.id, {MAIN_FIRST}
"""

ROLES_SQL = """
SELECT r.account_id, o.sourced_id AS org, r.role FROM account_roles r JOIN orgs o ON o.id = r.org_id
WHERE r.customer_id = :customer ORDER BY r.account_id, o.sourced_id, r.role
"""

ENROLLMENT_INDEX_SQL = """
SELECT id, fingerprint FROM enrollments WHERE customer_id = :customer AND tombstoned_at IS NULL
"""

ENROLLMENTS_SQL = f"""
SELECT e.id, e.sourced_id, c.sourced_id AS "class", i.subject AS "user", e.role, e.is_primary AS "primary",
       e.begin_date, e.end_date, e.fingerprint, e.tombstoned_at IS NOT NULL AS tombstoned, e.account_id, e.class_id
FROM {{wanted}} w JOIN enrollments e ON {{matches}}
LEFT JOIN classes c ON c.id = e.class_id
LEFT JOIN accounts a ON a.id = e.account_id
LEFT JOIN identities i ON i.account_id = a.id AND +i.issuer_id = {ROSTER_ISSUER}
WHERE +e.customer_id = :customer ORDER BY e.id, {MAIN_FIRST}
"""

PLACES_SQL = """
SELECT e.id FROM {wanted} w JOIN enrollments e ON e.account_id = w.account_id AND +e.class_id = w.class_id
WHERE +e.customer_id = :customer AND e.tombstoned_at IS NULL
"""

ASSIGNMENTS_SQL = """
SELECT account_id, class_id FROM assignments WHERE customer_id = :customer AND tombstoned_at IS NULL ORDER BY id
"""

ENROLLMENT_COUNTS_SQL = """
SELECT w.id, count(*) AS enrollments, count(DISTINCT e.class_id) AS classes
FROM {wanted} w JOIN enrollments e ON e.{column} = w.id
WHERE +e.customer_id = :customer AND e.tombstoned_at IS NULL GROUP BY w.id ORDER BY w.id
"""


def read_orgs(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    return connection.fetch_frame(ORGS_SQL, ORGS, {"customer": customer_number})


def read_classes(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    return connection.fetch_frame(CLASSES_SQL, CLASSES, {"customer": customer_number})


def read_users(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    """Return a row for each account, with `USERS`."""
    identities = connection.fetch_frame(USERS_SQL, USER_IDENTITIES, {"customer": customer_number})
    return _add_aliases(identities).with_columns(pl.col("sourced_id").is_not_null().alias("bound"))


def _add_aliases(identities: pl.DataFrame) -> pl.DataFrame:
    """Merge the sourcedIds of an account into one row, with the aliases in a column."""
    users = _dedupe_by_id(identities).drop("alias")
    further = identities.filter(pl.col("alias").is_not_null())
    if further.is_empty():
        return users.with_columns(pl.lit(None, dtype=pl.String).alias("aliases"))
    aliases = (
        further.sort("id", "sourced_id")
        .group_by("id", maintain_order=True)
        .agg(pl.col("sourced_id").str.join("\n").alias("aliases"))
    )
    return users.join(aliases, on="id", how="left", maintain_order="left")


def read_roles(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    return connection.fetch_frame(ROLES_SQL, ROLES, {"customer": customer_number})


def read_enrollment_index(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    return connection.fetch_frame(ENROLLMENT_INDEX_SQL, ENROLLMENT_INDEX, {"customer": customer_number})


def read_enrollments_by_id(connection: Connection, customer_number: CustomerNumber, ids: pl.Series) -> pl.DataFrame:
    return _read_enrollments(connection, customer_number, ids.cast(pl.Int64), "e.id = w.wanted")


def read_enrollments_by_key(connection: Connection, customer_number: CustomerNumber, keys: pl.Series) -> pl.DataFrame:
    matches = "e.customer_id = :customer AND e.sourced_id = w.wanted"
    return _read_enrollments(connection, customer_number, keys.cast(pl.String), matches)


def list_enrollments_in_places(
    connection: Connection, customer_number: CustomerNumber, places: pl.DataFrame
) -> pl.Series:
    """Return the ids of the active enrollments of these people in these classes. places: `account_id`, `class_id`."""
    if places.is_empty():
        return pl.Series("id", [], dtype=pl.Int64)
    with connection.stage_frame("wanted_places", places.unique(maintain_order=True)) as table:
        sql = PLACES_SQL.format(wanted=table)
        return connection.fetch_frame(sql, {"id": pl.Int64}, {"customer": customer_number})["id"].unique().sort()


def _read_enrollments(
    connection: Connection, customer_number: CustomerNumber, wanted: pl.Series, matches: str
) -> pl.DataFrame:
    wanted = wanted.drop_nulls().unique(maintain_order=True)
    parameters = {"customer": customer_number}
    if wanted.is_empty() or not connection.fetch_rows(
        "SELECT 1 FROM enrollments WHERE customer_id = :customer LIMIT 1", parameters
    ):
        return pl.DataFrame(schema=ENROLLMENTS)
    with connection.stage_frame("wanted_enrollments", pl.DataFrame({"wanted": wanted})) as table:
        sql = ENROLLMENTS_SQL.format(wanted=table, matches=matches)
        return _dedupe_by_id(connection.fetch_frame(sql, ENROLLMENTS, parameters))


def read_assignments(connection: Connection, customer_number: CustomerNumber) -> pl.DataFrame:
    return connection.fetch_frame(ASSIGNMENTS_SQL, ASSIGNMENTS, {"customer": customer_number})


def count_enrollments(
    connection: Connection, customer_number: CustomerNumber, column: str, ids: pl.Series
) -> pl.DataFrame:
    """Count the active enrollments and classes of accounts or classes; an id without any has no row.

    column: account_id or class_id, the kind of `ids`.
    """
    ids = ids.cast(pl.Int64).drop_nulls().unique(maintain_order=True)
    if ids.is_empty():
        return pl.DataFrame(schema=ENROLLMENT_COUNTS)
    with connection.stage_frame("counted_ids", pl.DataFrame({"id": ids})) as table:
        return connection.fetch_frame(
            ENROLLMENT_COUNTS_SQL.format(wanted=table, column=column), ENROLLMENT_COUNTS, {"customer": customer_number}
        )


def _dedupe_by_id(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the first row of each id: of several sourcedIds of an account that is the main one."""
    return frame.unique("id", keep="first", maintain_order=True) if frame["id"].is_duplicated().any() else frame
