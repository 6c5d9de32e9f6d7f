"""Read the unapproved changes of earlier runs that count toward the limits of the next plan."""

import polars as pl

from reconciler.model.ids import CustomerNumber, Moment, RunId
from reconciler.store.database.connection import Connection

LIMIT_USE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "name": pl.String,
    "row_id": pl.Int64,
    "schools": pl.String,
}

#: A removal does not count once its row is active again, because nothing was lost. Other changes always count. An
#: enrollment counts until the person is in the class again: its row may be somebody else's now. Of several uses for one
#: person and class, one counts, by its own id; one that was blanked has a row id of its own.
LIMIT_USES_SQL = """
SELECT u.name, CASE WHEN u.name = 'enrollments' THEN min(u.id) ELSE min(u.row_id) END AS row_id, u.schools
FROM limit_uses u
WHERE u.customer_id = :customer AND (u.at >= :since OR u.name LIKE 'approval %') AND NOT (
    (u.name IN ('users', 'scope_narrowed') OR u.name LIKE 'approval %') AND EXISTS (
        SELECT 1 FROM accounts a WHERE a.id = u.row_id AND a.tombstoned_at IS NULL AND a.status = 'active')
    OR u.name = 'classes' AND EXISTS (SELECT 1 FROM classes c WHERE c.id = u.row_id AND c.tombstoned_at IS NULL)
    OR u.name = 'enrollments' AND EXISTS (
        SELECT 1 FROM enrollments e
        WHERE e.account_id = u.account_id AND +e.class_id = u.class_id AND e.tombstoned_at IS NULL)
)
GROUP BY u.name, CASE WHEN u.account_id IS NULL THEN u.row_id END, u.account_id, u.class_id, u.schools
ORDER BY u.name, row_id
"""


def read_limit_uses(connection: Connection, customer_number: CustomerNumber, since: Moment) -> pl.DataFrame:
    """Return (name, row_id, schools) of the changes since a moment, as `LIMIT_USES_SQL` counts them. Uses of
    pre-approvals count forever."""
    return connection.fetch_frame(LIMIT_USES_SQL, LIMIT_USE_SCHEMA, {"customer": customer_number, "since": since})


NEWCOMERS_SQL = """
SELECT count(*) FROM accounts a JOIN runs r ON r.id = a.created_run
WHERE a.customer_id = :customer AND a.managed_by = 'roster' AND a.tombstoned_at IS NULL AND r.started_at >= :since
  AND a.created_run > (SELECT min(created_run) FROM accounts WHERE customer_id = :customer AND managed_by = 'roster')
"""


def count_newcomers(connection: Connection, customer_number: CustomerNumber, since: Moment) -> int:
    """Return the number of active people created since a moment, except those of the customer's first roster."""
    return int(connection.fetch_scalar(NEWCOMERS_SQL, {"customer": customer_number, "since": since}))


def has_later_limit_use(connection: Connection, customer_number: CustomerNumber, run: RunId, names: pl.Series) -> bool:
    """Return True if a run later than `run` counted toward any of these limits."""
    with connection.stage_frame("wanted_limits", names.unique().sort().to_frame("name")) as wanted:
        return bool(
            connection.fetch_rows(
                f"SELECT 1 FROM limit_uses u JOIN {wanted} w ON w.name = u.name"
                " WHERE u.customer_id = :customer AND u.run_id > :run LIMIT 1",
                {"customer": customer_number, "run": run},
            )
        )
