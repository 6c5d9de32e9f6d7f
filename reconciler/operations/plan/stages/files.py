"""First stage of a customer's plan: its files, and the store's record of the same customer."""

from dataclasses import dataclass

from reconciler.config.load import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId
from reconciler.operations.plan.context import PlanContext
from reconciler.store.read import CustomerRecord


@dataclass(frozen=True, slots=True)
class CustomerFiles:
    #: id in the files; the store's id of a removed customer
    id: CustomerId
    #: None if the files have no such customer, or not a valid one
    resolved: ResolvedCustomer | None
    #: under a former id if the customer is renamed; None if the store doesn't have it yet
    record: CustomerRecord | None
    #: the id in the store if the customer is renamed
    former_id: CustomerId | None
    diagnostics: tuple[Diagnostic, ...] = ()
    #: reasons why the customer cannot be planned
    errors: tuple[Diagnostic, ...] = ()

    @property
    def label(self) -> str:
        """Return the name to show if the customer cannot be planned."""
        return self.record.name if self.record else self.id


def find_customer_files(context: PlanContext, customer: CustomerId) -> CustomerFiles:
    """Return the files and the record of a customer, with errors if it cannot be planned."""
    resolved = context.repository.customers.get(customer)
    record = context.find_record(customer)
    former_id = context.renames.renames.former.get(customer)
    invalid = context.repository.invalid.get(customer)
    if invalid is not None:
        return CustomerFiles(customer, resolved, record, former_id, errors=tuple(invalid))
    if resolved is None:
        return CustomerFiles(customer, None, record, former_id)
    renames = context.renames.list_diagnostics(customer, resolved.span)
    errors = renames if any(each.is_error for each in renames) else ()
    return CustomerFiles(customer, resolved, record, former_id, (*resolved.warnings, *renames), errors)
