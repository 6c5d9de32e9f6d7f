"""What every table of the store shares: the naming of constraints, and how ids and moments are kept.

Ids are big integers that are never used twice (SQLite: AUTOINCREMENT). Days are text `YYYY-MM-DD`, moments
text `YYYY-MM-DDTHH:MM:SSZ`, JSON is text: one form in both databases.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Text

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

#: Everything an apply writes and a plan reads.
durable = MetaData(naming_convention=NAMING)
#: What may be lost: kept apart, so that a launch never waits for an apply.
volatile = MetaData(naming_convention=NAMING)

ID_TYPE = BigInteger().with_variant(Integer(), "sqlite")


def make_id_column() -> Column[int]:
    return Column("id", ID_TYPE, Identity(always=False), primary_key=True)


def make_origin_columns() -> tuple[Column[str], Column[int], Column[int]]:
    """Where a row came from: the roster member or YAML file, its line, and the run that wrote it last."""
    return Column("origin_file", Text), Column("origin_line", BigInteger), Column("origin_run", BigInteger)


def make_lifetime_columns() -> tuple[Column[int], Column[str], Column[int]]:
    """The run that made a row, and the moment and run that deleted it (null: it lives)."""
    return (
        Column("created_run", BigInteger),
        Column("tombstoned_at", Text),
        Column("tombstoned_run", BigInteger),
    )
