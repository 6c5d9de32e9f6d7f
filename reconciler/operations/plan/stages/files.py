"""First stage of a customer's plan: its files, and the store's record of the same customer."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.config.load import ResolvedCustomer
from reconciler.model.diagnostic import Diagnostic, build_warning
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
    old = _warn_old_previous_secrets(context, resolved, record)
    return CustomerFiles(customer, resolved, record, former_id, (*resolved.warnings, *renames, *old), errors)


def _warn_old_previous_secrets(
    context: PlanContext, resolved: ResolvedCustomer, record: CustomerRecord | None
) -> Iterator[Diagnostic]:
    """Yield a warning for each previous secret that an LMS may still sign with long after the switch to a new one."""
    old = context.store_index.old_previous_secrets.get(record.id, ()) if record else ()
    # The documents of a customer without one are not read: most customers are planned from their summaries alone.
    platforms = resolved.customer.lti.platforms if old and resolved.customer.lti else ()
    kept = {f"lti.platforms.{each.id}.previous_secret": each.id for each in platforms if each.previous_secret}
    for path, moment in old:
        if path in kept:
            yield build_warning(
                "old-previous-secret",
                f"the previous secret of {kept[path]} has been accepted since {moment[:10]}, for more than 30 days",
                resolved.documents[0].origins.get(f"{path}.secret", resolved.span),
                "Remove previous_secret: whoever has the old secret can still launch as anybody.",
            )
