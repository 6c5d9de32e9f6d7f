"""The documents of one customer on both sides: as the files want them, as the store has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reconciler.config.repository import Declared, Repository
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CATALOGUE, Seen
from reconciler.model.settings import settings_digest
from reconciler.operations.plan.renames import documents_renamed
from reconciler.operations.plan.store_index import Standing
from reconciler.planning.documents.document_diff import (
    Applied,
    AppliedDocument,
    Key,
    Wanted,
    WantedDocument,
    under_new_ids,
)
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord

CATALOGUE_NAME = "Catalogue of lessons"
_LISTED = (Kind.COMMUNITY, Kind.LESSON)


@dataclass(frozen=True, slots=True)
class Documents:
    """wanted, applied: by kind and id in the files. seen: what the plan is made from. name: for people. diagnostics:
    what is not renamed, and why."""

    customer: str
    name: str
    wanted: Wanted
    applied: Applied
    seen: Seen
    diagnostics: tuple[Diagnostic, ...] = ()

    def settings(self, changes: tuple[Change, ...]) -> Mapping[str, object] | None:
        """What an apply keeps: every wanted document, its digest and where it stands. None without changes."""
        if not changes:
            return None
        kept: dict[str, Any] = {"digest": self.seen.declared, "communities": {}, "lessons": {}, "origins": {}}
        for (kind, name), wanted in sorted(self.wanted.items()):
            if kind is Kind.CUSTOMER:
                kept["customer"] = wanted.document
            else:
                kept[kind.plural][name] = wanted.document
            kept["origins"][f"{kind}/{name}"] = [wanted.span.file, wanted.span.line]
        return kept

    def unchanged(self, changes: tuple[Change, ...]) -> dict[Kind, int]:
        """Documents by kind that are on both sides and the same."""
        changed = {(change.kind, change.key) for change in changes}
        alive = {key for key, document in self.applied.items() if not document.tombstoned}
        return {kind: sum(1 for key in alive - changed if key[0] is kind) for kind in DECLARED_KINDS}


def kept_digest(customer: str, settings: Mapping[str, Any]) -> str | None:
    """The digest of what `Documents.settings` keeps, as `Seen.declared` has it; None where that holds no document."""
    kept = {(kind, name): each for kind in _LISTED for name, each in settings[kind.plural].items()}
    if "customer" in settings:
        kept[Kind.CUSTOMER, customer] = settings["customer"]
    return settings_digest(kept) if kept or customer == CATALOGUE else None


def customer_documents(
    repository: Repository,
    reader: Reader,
    standing: Standing,
    customer: str,
    record: CustomerRecord | None,
    people: int,
) -> Documents:
    """record: under whatever id the store has it. people: how many live accounts it has, for the impact of its removal.
    Raises Refusal where a document cannot have the id that it is to have."""
    resolved = repository.customers.get(customer)
    wanted = _wanted(resolved.declared) if resolved else {}
    declared = resolved.digest if resolved else None
    applied: dict[Key, AppliedDocument] = {}
    told: tuple[Diagnostic, ...] = ()
    if (
        record is not None
        and resolved is not None
        and record.slug == customer
        and standing.has_exactly(record, resolved.digest, resolved.outline)
    ):
        applied = {key: _as_wanted(each) for key, each in wanted.items()}
    elif record is not None:
        # The store forgets the digest as soon as another hand writes to these documents.
        drifted = record.settings_digest is None
        applied[Kind.CUSTOMER, customer] = AppliedDocument(
            Kind.CUSTOMER,
            record.slug,
            record.name,
            record.document,
            None,
            record.tombstoned,
            drifted and record.altered,
            {"people": people},
            record.written,
        )
        others, told = _by_new_ids(wanted, applied_documents(reader, record.slug, drifted))
        applied |= others
    name = resolved.name if resolved else record.name if record else customer
    seen = Seen(record.version if record else None, record.settings_digest if record else None, declared)
    return Documents(customer, name, wanted, applied, seen, told)


def _as_wanted(wanted: WantedDocument) -> AppliedDocument:
    return AppliedDocument(wanted.kind, wanted.id, wanted.label, wanted.document, None, False, False, {})


def catalogue_documents(repository: Repository, reader: Reader) -> Documents:
    """The lessons that belong to no customer."""
    wanted = _wanted(repository.catalogue)
    record = reader.catalogue()
    written = record.version != (0, 0)
    stored = applied_documents(reader, None, written and record.settings_digest is None)
    applied, told = _by_new_ids(wanted, stored)
    after = settings_digest({key: each.document for key, each in wanted.items()})
    seen = Seen(record.version if written else None, record.settings_digest, after)
    return Documents(CATALOGUE, CATALOGUE_NAME, wanted, applied, seen, told)


def _by_new_ids(wanted: Wanted, stored: Applied) -> tuple[dict[Key, AppliedDocument], tuple[Diagnostic, ...]]:
    """`stored` by the ids of the files. Raises Refusal."""
    former, told = documents_renamed(wanted, stored)
    if any(each.is_error for each in told):
        raise Refusal(told)
    return under_new_ids(stored, former), told


def _wanted(declared: tuple[Declared, ...]) -> dict[tuple[Kind, str], WantedDocument]:
    return {
        (each.kind, each.id): WantedDocument(
            each.kind, each.id, label_of(each.kind, each.id, each.document), each.document, each.origins, each.span
        )
        for each in declared
    }


def applied_documents(reader: Reader, customer: str | None, drifted: bool) -> dict[tuple[Kind, str], AppliedDocument]:
    """Communities and lessons of a customer, or the catalogue's lessons (None), deleted ones included."""
    return {
        (record.kind, record.slug): AppliedDocument(
            record.kind,
            record.slug,
            label_of(record.kind, record.slug, record.document),
            record.document,
            None,
            record.tombstoned,
            drifted and record.altered,
            {},
            record.written,
        )
        for record in reader.declared(customer)
    }


def label_of(kind: Kind, name: str, document: Mapping[str, object]) -> str:
    return str(document.get("title" if kind is Kind.LESSON else "name") or name)


# Whether the usernames that a customer's file gives to its administrators are still to be had.


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
