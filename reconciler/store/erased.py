"""Whether a plan, made before somebody was erased or by a file that was kept, would bring that person back."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan
from reconciler.store.before_images import erased_keys
from reconciler.store.connection import Connection
from reconciler.store.key import StoreKey
from reconciler.store.problem import StalePlan

MAKING = (Action.CREATE.value, Action.RESTORE.value, Action.REKEY.value, Action.ADOPT.value)


def refuse_erased(
    connection: Connection, key: StoreKey, customer: int, plan: CustomerPlan, rows: Mapping[Kind, pl.DataFrame]
) -> None:
    """Raises StalePlan. rows: the change frames of what would be carried out. Who has a live account by now was let in
    again by somebody, and is left alone."""
    people = rows.get(Kind.USER)
    named = [people.filter(pl.col("action").is_in(MAKING))["key"]] if people is not None else []
    kept = plan.snapshot.get("users") if plan.snapshot else None
    if kept is not None:
        named.append(kept["sourced_id"])
    if not named:
        return
    erased = erased_keys(connection, key, customer, pl.concat([each.rename("key") for each in named]))
    if not erased.len():
        return
    with connection.staged("erased_people", erased.to_frame("key")) as staged:
        gone = connection.rows(
            f"SELECT s.key FROM {staged} s WHERE NOT EXISTS (SELECT 1 FROM identities i"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'roster' JOIN accounts a ON a.id = i.account_id"
            " WHERE i.customer_id = :customer AND i.subject = s.key AND a.tombstoned_at IS NULL) ORDER BY s.key",
            {"customer": customer},
        )
    if gone:
        raise StalePlan.of(plan.id, ((Kind.USER.value, str(sourced_id)) for (sourced_id,) in gone))
