"""A plan's id: a digest of what it would do, to which customers, in which store.

The same effects give the same id, whatever the order of files, the time or the formatting. Origins, labels and
diagnostics are no effects; secrets enter by reference only. Where a row is bound to what the store has already, which
one that is belongs to the effect: the row alone does not say whose account a person gets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import polars as pl

from reconciler.model.change import Action, action_of
from reconciler.model.kind import ROSTER_KINDS
from reconciler.model.plan import CustomerPlan, StoreIdentity
from reconciler.model.roster import FIELDS

_FIELD = "\x1f"
_ROW = "\x1e"
_NULL = "\x00"
_BINDING = (Action.ADOPT.value, Action.RESTORE.value)


def plan_id(store: StoreIdentity, customers: Iterable[CustomerPlan]) -> str:
    """`sha256:HEX`. A roster that is only shown (`roster_applies` is False) is no effect."""
    digest = hashlib.sha256()
    digest.update(json.dumps(["plan", 1, store.id, store.environment]).encode())
    for customer in sorted(customers, key=lambda each: each.id):
        digest.update(json.dumps([customer.id, customer.hold.id if customer.hold else None]).encode())
        for change in sorted(customer.declared, key=lambda each: (each.kind, each.key)):
            digest.update(
                json.dumps(
                    [
                        action_of(change),
                        change.kind,
                        change.key,
                        change.held,
                        [[field.path, field.before, field.after] for field in change.fields],
                    ],
                    sort_keys=True,
                ).encode()
            )
        if any(not change.held for change in customer.declared):
            digest.update((customer.seen.declared or "").encode())
        if customer.roster_applies:
            for kind in ROSTER_KINDS:
                if kind in customer.roster:
                    _add_rows(digest, kind, customer.roster[kind])
    return "sha256:" + digest.hexdigest()


def _add_rows(digest: hashlib._Hash, kind: str, frame: pl.DataFrame) -> None:
    if not frame.height:
        return
    columns = ["action", "key", "former_key", "held", "manager", *[field.name for field in FIELDS[kind]]]  # type: ignore[index]
    parts = [pl.col(name).cast(pl.String).fill_null(_NULL) for name in columns]
    bound = pl.when(pl.col("action").is_in(_BINDING)).then(pl.col("live_id")).cast(pl.String).fill_null(_NULL)
    rows = frame.select(pl.concat_str([*parts, bound], separator=_FIELD).alias("row"))["row"].sort()
    digest.update(f"{kind}{_ROW}".encode())
    for piece in rows.to_frame().iter_slices(100_000):
        digest.update((_ROW.join(piece["row"].to_list()) + _ROW).encode())
