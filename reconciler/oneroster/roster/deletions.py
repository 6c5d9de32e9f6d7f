"""Finds rows that delete their record although something else is wrong with them.

Servers often leave nothing of a deleted record but its sourcedId and status, or list it without a role or with the
school that was deleted as well. Such a row says clearly that the record is gone.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.rows import DELETIONS_SCHEMA, FileRows
from reconciler.oneroster.snapshot import is_marked_deleted
from reconciler.oneroster.standard.tables import KIND_OF


def find_clear_deletions(
    files: Mapping[str, FileRows], quarantine: pl.DataFrame, org_references: Iterator[pl.Series]
) -> dict[Kind, pl.DataFrame]:
    """Return, by kind, the quarantined rows of full files that clearly delete their record (DELETIONS_SCHEMA).

    A deleted org that other rows refer to stays in quarantine, because its rows would lose their place.
    org_references: sourcedIds of orgs in all other rows."""
    found: dict[Kind, pl.DataFrame] = {}
    for stem, file in files.items():
        kind = KIND_OF[stem]
        if file.delta or stem == "roles":
            continue
        marked = file.frame.filter(is_marked_deleted()).select(list(DELETIONS_SCHEMA))
        keys = quarantine.filter(pl.col("kind") == kind.value)["key"].drop_nulls()
        clear = pl.concat([marked, file.deletions]).filter(pl.col("sourced_id").is_in(keys.implode()))
        if kind is Kind.ORG and clear.height:
            named = pl.concat([each.drop_nulls().rename("org") for each in org_references])
            clear = clear.filter(~pl.col("sourced_id").is_in(named.implode()))
        if clear.height:
            found[kind] = clear
    return found


def drop_clear_deletions(quarantine: pl.DataFrame, deletions: Mapping[Kind, pl.DataFrame]) -> pl.DataFrame:
    """Return the quarantine without the rows of these records."""
    for kind, rows in deletions.items():
        is_clear = (pl.col("kind") == kind.value) & pl.col("key").is_in(rows["sourced_id"].implode())
        quarantine = quarantine.filter(~is_clear.fill_null(False))
    return quarantine
