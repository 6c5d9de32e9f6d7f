"""Test by the query plan that updating memberships reads no row more than once."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import adbc_driver_sqlite.dbapi as sqlite
import pytest

from reconciler.store.open import open_store
from reconciler.store.write.memberships import GONE_SQL
from tests.support.customers.project import KEY


def test_members_who_left_are_found_as_a_set(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}", "test", key=KEY)
    with sqlite.connect(str(path)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE wanted (account_id INTEGER, community_id INTEGER, role TEXT)")
        cursor.execute("EXPLAIN QUERY PLAN " + GONE_SQL.format(wanted="wanted").replace(":customer", "1"))
        steps = " / ".join(str(row[3]) for row in cursor.fetchall())
    assert "CORRELATED" not in steps
    assert "LIST SUBQUERY" in steps


@pytest.mark.slow
def test_ctrl_c_in_a_statement_is_no_store_error(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", "test", key=KEY)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), store.open_connection() as connection:
        connection.fetch_scalar(
            "with recursive n(x) as (select 1 union all select x + 1 from n where x < 5000000) select count(*) from n"
        )
    timer.join()
