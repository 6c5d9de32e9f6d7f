"""What tests do to the PostgreSQL server beside their stores."""

from __future__ import annotations

import psycopg
from psycopg import sql

#: That of the fixture `postgresql_store`.
DATABASE = "reconciler_test"


def administer(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(statement)
