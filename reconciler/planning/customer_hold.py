"""Builds the hold of a customer: all changes that wait for approval, under an ID that stands for exactly this set."""

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from reconciler.model.change import Change, count_affected_people
from reconciler.model.ids import CustomerId, HoldId
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan, Hold
from reconciler.model.reason import Reason
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.plan_id import build_row_effects, list_document_effects

#: Hexadecimal digits of the HMAC in a hold's ID: 64 bits are enough because nobody without the key can look for two
#: sets of changes with the same ID.
DIGEST_DIGITS = 16


def build_hold(plan: CustomerPlan, causes: Iterable[str], key: str) -> Hold | None:
    """Return the hold of a customer's plan, or None if nothing is held.

    Its people are those who would leave, and all of a customer that would be removed. key: the store's key for holds,
    as hex."""
    documents = [change for change in plan.document_changes if change.held]
    frames = plan.roster if plan.roster_applies else {}
    held = {kind: frames[kind].filter("held") for kind in ROSTER_KINDS if kind in frames}
    rows = {kind: frame for kind, frame in held.items() if frame.height}
    count = len(documents) + sum(frame.height for frame in rows.values())
    if not count:
        return None
    people = _count_document_people(documents)
    if Kind.USER in rows:
        people += rows[Kind.USER].filter(is_leaving(Kind.USER)).height
    digest = hmac.new(bytes.fromhex(key), digestmod=hashlib.sha256)
    for part in (*_serialize_documents(documents, plan.settings or {}), *_serialize_rows(rows)):
        digest.update(part.encode())
    return Hold(_build_hold_id(plan.id, people, digest.hexdigest()), people, count, tuple(causes))


def _count_document_people(held: Iterable[Change]) -> int:
    """Return how many people lose access: all of a customer, or else those locked out of communities, of each alone."""
    numbers = {Kind.CUSTOMER: 0, Kind.COMMUNITY: 0}
    for change in held:
        if change.kind is Kind.CUSTOMER or (change.kind is Kind.COMMUNITY and change.reason is Reason.LOCKS_OUT):
            numbers[change.kind] += count_affected_people(change)
    return numbers[Kind.CUSTOMER] or numbers[Kind.COMMUNITY]


def _build_hold_id(customer: CustomerId, people: int, digest: str) -> HoldId:
    return HoldId(f"{customer}:{people}:{digest[:DIGEST_DIGITS]}")


def _serialize_documents(changes: Iterable[Change], settings: Mapping[str, object]) -> Iterator[str]:
    for change in sorted(changes, key=lambda change: (DECLARED_KINDS.index(change.kind), change.key)):
        for effect in list_document_effects(change, settings):
            yield f"{change.reason}\x1f{effect[-1]}\x1e"


def _serialize_rows(held: Mapping[Kind, pl.DataFrame]) -> Iterator[str]:
    """Yield one text per kind. All values count and not their fingerprint, because anybody can look for values with
    the same fingerprint. A roster's values contain no control characters."""
    for kind, rows in held.items():
        effects = build_row_effects(kind, rows).select("effect", rows["reason"])
        lines = effects.select(pl.concat_str("reason", "effect", separator="\x1f").alias("line"))["line"]
        yield f"{kind}\x1d" + "\x1e".join(lines.sort().to_list())
