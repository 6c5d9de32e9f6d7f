"""Every table that names a person's or a customer's row is reached by the removals, or says here why not."""

from __future__ import annotations

from reconciler.store.removal.rows import CUSTOMER_TARGETS, ROW_TARGETS
from reconciler.store.tables import durable

#: Runs name nobody and are part of the chain; keys stay reserved, and a purge forgets them after the retention.
KEPT_OF_A_CUSTOMER = {"runs", "lti_platforms"}
#: Blanked by `blank_limit_uses`, so that the window of the limits still counts them.
BLANKED = {"limit_uses"}


def test_140_no_table_of_a_person_is_forgotten() -> None:
    named = {name for name, table in durable.tables.items() if {"account_id", "row_id"} & set(table.columns.keys())}
    assert named - BLANKED <= {target.table for target in ROW_TARGETS}


def test_140_no_table_of_a_customer_is_forgotten() -> None:
    named = {name for name, table in durable.tables.items() if "customer_id" in table.columns}
    assert named - KEPT_OF_A_CUSTOMER <= {target.table for target in CUSTOMER_TARGETS}
