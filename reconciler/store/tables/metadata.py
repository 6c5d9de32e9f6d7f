"""Define the naming of constraints, and the columns that many tables share.

Ids are big integers that are never used twice (SQLite: AUTOINCREMENT). Dates are text `YYYY-MM-DD`, moments text
`YYYY-MM-DDTHH:MM:SSZ` and JSON is text, the same in both databases.
"""

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Text

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

#: All tables that an apply writes and a plan reads.
durable = MetaData(naming_convention=NAMING)
#: Tables that may be lost, kept in a file of their own so that a launch never waits for an apply.
volatile = MetaData(naming_convention=NAMING)

#: Marks a column of moments in its `info`.
MOMENT = "moment"

ID_TYPE = BigInteger().with_variant(Integer(), "sqlite")


def make_moment_column(name: str, *, nullable: bool = True, index: bool = False) -> Column[str]:
    """Return a column of a moment. Its check `ck_TABLE_COLUMN` is made by a migration
    (`migrations.moments.add_moment_checks`).
    """
    return Column(name, Text, nullable=nullable, index=index or None, info={MOMENT: True})


def make_id_column() -> Column[int]:
    return Column("id", ID_TYPE, Identity(always=False), primary_key=True)


def make_origin_columns() -> tuple[Column[str], Column[int], Column[int]]:
    """Return the columns of a row's origin: its roster or YAML file, its line, and the run that last wrote it."""
    return Column("origin_file", Text), Column("origin_line", BigInteger), Column("origin_run", BigInteger)


def make_lifetime_columns() -> tuple[Column[int], Column[str], Column[int]]:
    """Return the columns of the run that created a row, and of the moment and run that deleted it (null if active)."""
    return (
        Column("created_run", BigInteger),
        make_moment_column("tombstoned_at"),
        Column("tombstoned_run", BigInteger),
    )
