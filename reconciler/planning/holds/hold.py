"""Builds the hold of a customer: all changes that wait for approval, under an ID that stands for exactly this set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.change import Action, Change, Delete
from reconciler.model.ids import CustomerId, HoldId
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import Hold
from reconciler.planning.frames.losses import is_leaving


def hold_document_removals(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Hold the removal of a customer, with all its documents, or of a community: it always needs approval."""
    known = tuple(changes)
    removes_customer = any(isinstance(change, Delete) and change.kind is Kind.CUSTOMER for change in known)
    return tuple(
        replace(change, held=True)
        if removes_customer or (isinstance(change, Delete) and change.kind is Kind.COMMUNITY)
        else change
        for change in known
    )


def build_hold(
    customer_id: CustomerId,
    declared: Iterable[Change],
    frames: Mapping[Kind, pl.DataFrame],
    causes: Iterable[str],
) -> Hold | None:
    """Return the hold, or None if nothing is held. Its people are those who would leave, and all of a customer that
    would be removed."""
    digest = hashlib.sha256()
    rows = 0
    people = 0
    for change in sorted(
        (change for change in declared if change.held),
        key=lambda change: (DECLARED_KINDS.index(change.kind), change.key),
    ):
        rows += 1
        if change.kind is Kind.CUSTOMER:
            people += int(str(change.impact.get("people", 0)))
        digest.update(f"{type(change).__name__}\x1f{change.kind}\x1f{change.key}\x1e".encode())
    for kind in ROSTER_KINDS:
        held = frames[kind].filter("held") if kind in frames else None
        if held is None or not held.height:
            continue
        rows += held.height
        people += held.filter(is_leaving(kind)).height if kind is Kind.USER else 0
        # The content of new and changed rows counts too; rows that leave have the fingerprint 0.
        content = pl.col("fingerprint").cast(pl.String).fill_null("")
        former = pl.col("former_key").fill_null("")
        # The row alone does not name the account that it adopts or is merged into.
        adopted = pl.when(pl.col("action") == Action.ADOPT.value).then(pl.col("live_id").cast(pl.String))
        account = pl.coalesce(adopted, "into").fill_null("")
        lines = held.select(
            pl.concat_str("action", "reason", "key", former, content, account, separator="\x1f").alias("row")
        )
        digest.update(f"{kind}\x1d".encode())
        digest.update("\x1e".join(lines["row"].sort().to_list()).encode())
    if not rows:
        return None
    return Hold(HoldId(f"{customer_id}:{people}:{digest.hexdigest()[:6]}"), people, rows, tuple(causes))
