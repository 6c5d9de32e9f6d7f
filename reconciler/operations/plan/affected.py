"""Count the people whom changed documents affect, and mark changes that lock people out."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.clock import get_current_day
from reconciler.model.change import Change, Update
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.operations.plan.documents import CustomerDocuments
from reconciler.planning.documents import AppliedDocument, WantedDocument, list_narrowed_members, locks_people_out
from reconciler.store.read import CustomerRecord, Reader, count_locked_out_members, count_readers, read_users


def add_affected_people(
    reader: Reader, record: CustomerRecord | None, documents: CustomerDocuments, changes: Iterable[Change]
) -> tuple[Change, ...]:
    """Return the changes with `people` in the impact of those that lock people out or change a lesson's address.

    record: the customer in the store; None for the catalog or a new customer."""
    return tuple(
        _add_people(reader, record, documents, change) if isinstance(change, Update) else change for change in changes
    )


def _add_people(reader: Reader, record: CustomerRecord | None, documents: CustomerDocuments, change: Update) -> Change:
    wanted, applied = documents.wanted[change.kind, change.key], documents.applied[change.kind, change.key]
    if change.kind is Kind.LESSON:
        if not any(field.path == "url" for field in change.fields):
            return change
        owner = record.id if record is not None else None
        return replace(change, impact={"people": count_readers(reader.connection, owner, applied.id)})
    if record is None or not locks_people_out(change.kind, applied.document, wanted.document, _get_today(documents)):
        return change
    people = (
        int((~read_users(reader.connection, record.id)["tombstoned"]).sum())
        if change.kind is Kind.CUSTOMER
        else _count_lost_members(reader, record, wanted, applied, _get_today(documents))
    )
    return replace(change, reason=Reason.LOCKS_OUT, impact={"people": people})


def _count_lost_members(
    reader: Reader, record: CustomerRecord, wanted: WantedDocument, applied: AppliedDocument, today: str
) -> int:
    narrowed = list_narrowed_members(applied.document, wanted.document)
    without = {**wanted.document, "members": applied.document.get("members")}
    closes = locks_people_out(Kind.COMMUNITY, applied.document, without, today)
    members = wanted.document.get("members") or {}
    selection = None if closes or not narrowed or not isinstance(members, dict) else members
    return count_locked_out_members(reader.connection, record.id, applied.id, selection)


def _get_today(documents: CustomerDocuments) -> str:
    customer = next((each.document for (kind, _), each in documents.wanted.items() if kind is Kind.CUSTOMER), {})
    return get_current_day(str(customer.get("timezone") or "UTC"))
