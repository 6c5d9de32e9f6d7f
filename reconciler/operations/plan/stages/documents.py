"""Second stage of a customer's plan: compare its documents with those that were applied, and check its secrets."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.config.load import ResolvedCustomer
from reconciler.model.change import Change
from reconciler.model.diagnostic import Diagnostic, build_error, build_info
from reconciler.model.ids import CustomerNumber
from reconciler.model.kind import Kind
from reconciler.model.settings import DocumentsByKey
from reconciler.operations.plan.affected import add_affected_people
from reconciler.operations.plan.base import read_base_documents
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.documents import (
    CustomerDocuments,
    find_taken_usernames,
    list_admin_usernames,
    read_customer_documents,
)
from reconciler.operations.plan.renames import describe_renamed_secrets
from reconciler.operations.plan.secrets import check_secrets
from reconciler.operations.plan.stages.files import CustomerFiles
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.planning.attribution import add_causes
from reconciler.planning.documents import compare_documents
from reconciler.store.read import CustomerRecord, Reader, count_invitations, read_administrators, read_users


@dataclass(frozen=True, slots=True)
class DocumentComparison:
    documents: CustomerDocuments
    changes: tuple[Change, ...] = ()
    #: the base's documents; None without a base
    base_documents: DocumentsByKey | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    #: sentences that say why all changes of the documents wait; empty if they do not
    hold_causes: tuple[str, ...] = ()
    #: reasons why the customer cannot be planned
    errors: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _CheckedSecrets:
    #: by dotted path, the words of a report
    changed: Mapping[str, str] = field(default_factory=dict)
    #: paths of the secrets that are not set; None if secrets are not looked up
    missing: Collection[str] | None = None
    warnings: tuple[Diagnostic, ...] = ()


def compare_customer_documents(context: PlanContext, files: CustomerFiles) -> DocumentComparison:
    """Compare the documents of a customer. Raises Refusal if a document cannot have its id."""
    reader, record = context.reader, files.record
    people = _count_people(reader, record) if record and files.resolved is None else 0
    documents = read_customer_documents(context.repository, reader, context.store_index, files.id, record, people)
    errors = _find_taken_names(context, files, documents)
    if errors:
        return DocumentComparison(documents, errors=errors)
    secrets = _check_secrets(context, files, documents)
    changes = add_affected_people(
        reader, record, documents, compare_documents(documents.wanted, documents.applied, secrets.changed)
    )
    before = read_base_documents(context.comparison, files.id) if context.comparison else None
    if before is not None:
        changes = add_causes(changes, before, {key: each.document for key, each in documents.wanted.items()})
    diagnostics = [*documents.diagnostics, *secrets.warnings]
    diagnostics += _announce_invitations(context, files, documents, changes)
    if files.resolved and files.former_id:
        wanted = documents.wanted[Kind.CUSTOMER, files.id]
        diagnostics += describe_renamed_secrets(
            files.id, files.former_id, wanted.document, secrets.missing, files.resolved.span
        )
    causes = tuple(sentence for each in context.list_likely_renames(files.id) for sentence in each.sentences)
    return DocumentComparison(documents, changes, before, tuple(diagnostics), causes)


def _find_taken_names(
    context: PlanContext, files: CustomerFiles, documents: CustomerDocuments
) -> tuple[Diagnostic, ...]:
    """Return an error for each username or consumer key that belongs to somebody else."""
    if files.resolved is None:
        return ()
    usernames = find_taken_usernames(documents.wanted[Kind.CUSTOMER, files.id], files.record, context.reader)
    likely = {context.records[each.former].id for each in context.list_likely_renames(files.id)}
    return usernames or _find_taken_consumer_keys(files.resolved, files.record, context.store_index, likely)


def _find_taken_consumer_keys(
    resolved: ResolvedCustomer,
    record: CustomerRecord | None,
    store_index: StoreIndex,
    likely_same: Collection[CustomerNumber],
) -> tuple[Diagnostic, ...]:
    """Return an error for each consumer key that another customer has in the store, or lately had.

    likely_same: customers that look like this one under a former id, so that it waits anyway."""
    errors = []
    for platform in resolved.customer.lti.platforms if resolved.customer.lti else ():
        owners = [
            owner
            for owner in store_index.key_owners.get(platform.consumer_key, ())
            if (record is None or owner.customer_number != record.id) and owner.customer_number not in likely_same
        ]
        errors += [
            build_error(
                "consumer-key-taken",
                f"this consumer_key {owner}",
                resolved.documents[0].origins.get(f"lti.platforms.{platform.id}.consumer_key", resolved.span),
                "Use each consumer key only once across all customers: it identifies the calling LMS.",
            )
            for owner in owners
        ]
    return tuple(errors)


def _check_secrets(context: PlanContext, files: CustomerFiles, documents: CustomerDocuments) -> _CheckedSecrets:
    resolved, record, workspace = files.resolved, files.record, context.workspace
    # A pull request must not read secrets, so with a base they are compared only by reference.
    if resolved is None or context.comparison or workspace.uses_applied_config:
        return _CheckedSecrets()
    states = check_secrets(
        files.id,
        resolved.outline.secrets,
        context.store_index.find_secrets(record.id) if record else {},
        list_admin_usernames(record.document) if record and not record.tombstoned else frozenset(),
        workspace.secrets,
        workspace.store.key,
        former_id=files.former_id,
    )
    origins = documents.wanted[Kind.CUSTOMER, files.id].origins
    return _CheckedSecrets(states.changed, states.missing.keys(), states.build_warnings(files.id, origins))


def _announce_invitations(
    context: PlanContext, files: CustomerFiles, documents: CustomerDocuments, changes: Iterable[Change]
) -> Iterator[Diagnostic]:
    """Yield how many invitation links an apply makes, so that somebody is there to hand them over."""
    wanted = documents.wanted.get((Kind.CUSTOMER, files.id))
    if wanted is None or not any(change.kind is Kind.CUSTOMER for change in changes):
        return
    administrators = wanted.document.get("administrators")
    accounts = read_administrators(context.reader.connection, files.record.id) if files.record else {}
    number = count_invitations(administrators, accounts) if isinstance(administrators, Mapping) else 0
    if number:
        links = (
            "1 invitation link for an administrator" if number == 1 else f"{number} invitation links for administrators"
        )
        yield build_info(
            "invitations",
            f"apply makes {links} without a password",
            wanted.origins.get("administrators", wanted.span),
            "Run apply on a terminal, or in a folder that you can write to and that is kept.",
        )


def _count_people(reader: Reader, record: CustomerRecord) -> int:
    return int((~read_users(reader.connection, record.id)["tombstoned"]).sum())
