"""Customers that the files call otherwise than the store, or than the base of a comparison."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.config.comparison import Comparison
from reconciler.config.repository import Repository
from reconciler.config.secrets import secret_references
from reconciler.model.diagnostic import Diagnostic, Span, error, info, warning
from reconciler.model.kind import Kind
from reconciler.planning.documents.document_diff import Applied, Wanted, renamed_documents
from reconciler.planning.documents.renames import Renames, Stored, former_ids, renames
from reconciler.store.read.records import CustomerRecord

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class RenamedCustomers:
    """renames: what of the store's customers the files have under another id."""

    renames: Renames

    def record(self, customer: str, records: Mapping[str, CustomerRecord]) -> CustomerRecord | None:
        """What the store has of a customer of the files."""
        return records.get(self.renames.former.get(customer, customer))

    def told(self, customer: str, span: Span) -> tuple[Diagnostic, ...]:
        """Why a customer of the files is not what it was called before. span: of its document."""
        store = self.renames
        mine = ({customer: each[customer]} if customer in each else {} for each in (store.barred, store.passed_over))
        return tuple(not_renamed(Kind.CUSTOMER, Renames({}, *mine), {customer: span}))

    def gone(self) -> frozenset[str]:
        """Ids that the store has still and nobody wants: they are not removed."""
        return frozenset(self.renames.former.values()) - self.renames.former.keys()


def renamed_customers(repository: Repository, records: Mapping[str, CustomerRecord]) -> RenamedCustomers:
    """Of those customers whose files were read."""
    if not any(each.previously for each in repository.customers.values()):
        return RenamedCustomers(Renames())
    stored = {slug: Stored(former_ids(record.document), record.tombstoned) for slug, record in records.items()}
    return RenamedCustomers(_renames(repository, stored))


def id_in_base(comparison: Comparison, customer: str) -> str:
    """What the base calls a customer of the files."""
    resolved = comparison.now.customers.get(customer)
    if resolved is None or not resolved.previously:
        return customer
    before = {name: Stored(each.previously) for name, each in comparison.before.customers.items()}
    return _renames(comparison.now, before).former.get(customer, customer)


def _renames(repository: Repository, stored: Mapping[str, Stored]) -> Renames:
    wanted = {name: each.previously for name, each in repository.customers.items()}
    return renames(wanted, stored, {*repository.folders, *repository.invalid} - wanted.keys())


def documents_renamed(wanted: Wanted, applied: Applied) -> tuple[dict[Key, Key], tuple[Diagnostic, ...]]:
    """Communities and lessons: by key in the files, the key in the store; and what cannot be renamed, or is not."""
    former: dict[Key, Key] = {}
    told: list[Diagnostic] = []
    for kind in (Kind.COMMUNITY, Kind.LESSON):
        found = renamed_documents(wanted, applied, kind)
        former |= {(kind, new): (kind, old) for new, old in found.former.items()}
        told += not_renamed(kind, found, {name: each.span for (one, name), each in wanted.items() if one is kind})
    return former, tuple(told)


def not_renamed(kind: Kind, found: Renames, spans: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """spans: of the files' documents, by id."""
    for name, former in found.barred.items():
        yield error(
            "id-still-kept",
            f"{kind} {former} cannot become {name}: a {kind} {name} that was removed is still kept under this id",
            spans.get(name),
            f"give it another id; or wait until `reconciler purge` has removed the former {name} for good",
        )
    for name, former in found.passed_over.items():
        yield warning(
            "not-renamed",
            f"{kind} {former} does not become {name}: there is a {kind} {name} already; {former} is removed",
            spans.get(name),
            "previously is for a new id; what is there already under its own stays what it is",
        )


def secrets_by_new_id(
    customer: str, former: str, document: Mapping[str, object], missing: Collection[str] | None, span: Span
) -> Iterator[Diagnostic]:
    """missing: paths of secrets that are not set under the new id; None where nobody looked."""
    names = sorted({name for _, name in secret_references(document)})
    if names:
        found = info if missing is not None and not missing else warning
        yield found(
            "secrets-by-new-id",
            f"the secrets of {former} are looked up under its new id {customer}: {', '.join(names)}",
            span,
            f"set them for {customer} before the apply, and take those of {former} away after it",
        )
