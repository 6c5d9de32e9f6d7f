"""Find customers and documents whose id in the files differs from the store's or the base's."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.config.comparison import BaseComparison
from reconciler.config.models import find_secret_references
from reconciler.config.repository import Repository
from reconciler.model.diagnostic import Diagnostic, Span, build_error, build_info, build_warning
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.operations.workspace import Workspace
from reconciler.planning.documents import (
    AppliedDocuments,
    DocumentRenames,
    IdT,
    LikelyRename,
    StoredDocument,
    WantedDocuments,
    find_document_renames,
    find_likely_renames,
    find_renames,
    list_former_ids,
)
from reconciler.store.read import CustomerRecord

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class CustomerRenames:
    #: the store's customers that the files have under another id
    renames: DocumentRenames[CustomerId]

    def list_diagnostics(self, customer: CustomerId, span: Span) -> tuple[Diagnostic, ...]:
        """Return the diagnostics of a customer whose former ids cannot be renamed. span: of its document."""
        store = self.renames
        mine = (
            {customer: each[customer]} if customer in each else {}
            for each in (store.conflicts_with_removed, store.conflicts_with_live, store.removed_beside_live)
        )
        return tuple(describe_failed_renames(Kind.CUSTOMER, DocumentRenames({}, *mine), {customer: span}))

    def list_replaced_ids(self) -> frozenset[CustomerId]:
        """Return the store's ids that were replaced by new ones; their customers are not removed."""
        return frozenset(self.renames.former.values()) - self.renames.former.keys()


def find_renamed_customers(repository: Repository, records: Mapping[CustomerId, CustomerRecord]) -> CustomerRenames:
    """Return the renames of the customers whose files were read."""
    if not any(each.previously for each in repository.customers.values()):
        return CustomerRenames(DocumentRenames())
    stored = {
        slug: StoredDocument(list_former_ids(record.document), record.tombstoned) for slug, record in records.items()
    }
    return CustomerRenames(_resolve_renames(repository, stored))


def find_likely_customer_renames(
    workspace: Workspace, records: Mapping[CustomerId, CustomerRecord], renames: CustomerRenames
) -> tuple[LikelyRename, ...]:
    """Return the customers that look renamed although no file lists their former ID under `previously`."""
    repository, comparison = workspace.repository, workspace.comparison
    known = {*repository.folders, *repository.customers, *repository.invalid, *renames.list_replaced_ids()}
    known |= comparison.layout_ids if comparison else set()
    appearing = {
        name: each
        for name, each in repository.customers.items()
        if name not in records and name not in renames.renames.former
    }
    leaving = {slug: record.document for slug, record in records.items() if not record.tombstoned and slug not in known}
    if not appearing or not leaving:
        return ()
    return find_likely_renames(
        {name: each.documents[0].document for name, each in appearing.items()},
        leaving,
        comparison.moved_ids if comparison else {},
        {name: each.span.file for name, each in appearing.items()},
    )


def find_id_in_base(comparison: BaseComparison, customer: CustomerId) -> CustomerId:
    """Return the base's id of a customer of the files."""
    resolved = comparison.current_repository.customers.get(customer)
    if resolved is None or not resolved.previously:
        return customer
    before = {name: StoredDocument(each.previously) for name, each in comparison.base_repository.customers.items()}
    return _resolve_renames(comparison.current_repository, before).former.get(customer, customer)


def _resolve_renames(
    repository: Repository, stored: Mapping[CustomerId, StoredDocument]
) -> DocumentRenames[CustomerId]:
    wanted = {name: each.previously for name, each in repository.customers.items()}
    return find_renames(wanted, stored, {*repository.folders, *repository.invalid} - wanted.keys())


def resolve_document_renames(
    wanted: WantedDocuments, applied: AppliedDocuments
) -> tuple[dict[Key, Key], tuple[Diagnostic, ...]]:
    """Return the store's key of each renamed community and lesson by its new key, and diagnostics of failed renames."""
    former: dict[Key, Key] = {}
    diagnostics: list[Diagnostic] = []
    for kind in (Kind.COMMUNITY, Kind.LESSON):
        renames = find_document_renames(wanted, applied, kind)
        former |= {(kind, new): (kind, old) for new, old in renames.former.items()}
        diagnostics += describe_failed_renames(
            kind, renames, {name: each.span for (one, name), each in wanted.items() if one is kind}
        )
    return former, tuple(diagnostics)


def describe_failed_renames(
    kind: Kind, renames_found: DocumentRenames[IdT], spans: Mapping[IdT, Span]
) -> Iterator[Diagnostic]:
    """Yield an error or a warning for each former id that is not renamed. spans: of the files' documents, by id."""
    for name, former in renames_found.conflicts_with_removed.items():
        yield build_error(
            "id-still-kept",
            f"{kind} {former} cannot become {name}: the store still has a removed {kind} {name}",
            spans.get(name),
            _describe_way_to_free_id(kind, name),
        )
    for name, former in renames_found.conflicts_with_live.items():
        yield build_warning(
            "not-renamed",
            f"{kind} {former} does not become {name}: {kind} {name} already exists; {former} is removed",
            spans.get(name),
            f"Use previously only for a new ID; the existing {kind} {name} stays as it is."
            + (f" {_MEND_CREATED_CUSTOMER.format(name=name)}" if kind is Kind.CUSTOMER else ""),
        )

    for name, former in renames_found.removed_beside_live.items() if kind is Kind.CUSTOMER else ():
        yield build_warning(
            "not-renamed",
            f"{kind} {former} does not become {name}: {kind} {name} already exists; {former} stays removed, and a purge"
            " deletes it",
            spans.get(name),
            f"If {name} was created where {name} should have been the new ID, undo the run that removed {former} "
            f"(reconciler history {former}); then plan again.",
        )


_MEND_CREATED_CUSTOMER = (
    "If {name} was created where {name} should have been the new ID, undo the run that created it (reconciler history "
    "{name}) and free the ID (reconciler erase {name} --request REF); then plan again."
)


def _describe_way_to_free_id(kind: Kind, name: str) -> str:
    if kind is Kind.CUSTOMER:
        return f"Choose another ID, or free this one: reconciler erase {name} --request REF"
    return f"Choose another ID, or wait until `reconciler purge` deletes the removed {name}."


def describe_renamed_secrets(
    customer: CustomerId,
    former_id: CustomerId,
    document: Mapping[str, object],
    missing: Collection[str] | None,
    span: Span,
) -> Iterator[Diagnostic]:
    """Yield a diagnostic that a renamed customer's secrets are looked up under its new id.

    missing: paths of secrets that are not set under the new id; None if secrets are not looked up."""
    names = sorted({name for _, name in find_secret_references(document)})
    if names:
        build = build_info if missing is not None and not missing else build_warning
        yield build(
            "secrets-by-new-id",
            f"the secrets of {former_id} are looked up under its new ID {customer}: {', '.join(names)}",
            span,
            f"Set them for {customer} before the apply, and remove those of {former_id} after it.",
        )
