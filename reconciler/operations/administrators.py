"""Whether the usernames that a customer's file gives to its administrators are still to be had."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from reconciler.model.diagnostic import Diagnostic, error
from reconciler.model.kind import Kind
from reconciler.planning.declared import WantedDocument
from reconciler.store.reader import Reader
from reconciler.store.records import CustomerRecord


def usernames(document: Mapping[str, object]) -> frozenset[str]:
    """Of the administrators in a customer's document."""
    known = document.get("administrators")
    return frozenset(known) if isinstance(known, Mapping) else frozenset()


def taken_usernames(wanted: WantedDocument, record: CustomerRecord | None, reader: Reader) -> tuple[Diagnostic, ...]:
    """An error for each new administrator whose username a live account has: an apply could not make theirs."""
    if wanted.kind is not Kind.CUSTOMER or record is None:
        return ()
    known: Collection[str] = usernames(record.document) if not record.tombstoned else ()
    new = {name.lower(): name for name in usernames(wanted.document) if name not in known}
    if not new:
        return ()
    live = reader.users(record.id).filter(~pl.col("tombstoned") & (pl.col("managed_by") != "config"))
    taken = live["username"].str.to_lowercase().drop_nulls()
    return tuple(
        error(
            "username-taken",
            "an administrator's username belongs to another account of this customer",
            wanted.origins.get(f"administrators.{name}.username", wanted.span),
            "choose another username for the administrator",
        )
        for folded, name in sorted(new.items())
        if taken.is_in([folded]).any()
    )
