"""Read facts about all customers from the store at once, for plans that need them one by one."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property

from reconciler import clock
from reconciler.config.load import Outline
from reconciler.model.ids import CustomerNumber, Moment
from reconciler.model.kind import Kind
from reconciler.store.read import CustomerRecord, KeyOwner, Reader, SecretRecord, read_key_owners

#: the time after which an LMS should have been switched over to its new secret
LONGEST_SWITCH = timedelta(days=30)


class StoreIndex:
    """Facts about all customers, each read once when first needed; lives as long as its reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find_secrets(self, customer_number: CustomerNumber) -> Mapping[str, SecretRecord]:
        """Return the secrets of a customer, by dotted path."""
        return self._secrets.get(customer_number, {})

    def count_documents(self, customer_number: CustomerNumber) -> Mapping[Kind, int]:
        """Return the numbers of active communities and lessons; a kind without any has no entry."""
        return self._documents.get(customer_number, {})

    def has_same_documents(self, record: CustomerRecord, declared_digest: str, outline: Outline) -> bool:
        """Return True if the store has exactly the declared documents, without reading them.

        A write outside reconciler deletes the record's digest. Documents are counted too, because a removal that waits
        for approval leaves more documents than the digest covers. False with former ids, which may need warnings."""
        if record.tombstoned or record.settings_digest != declared_digest or outline.renames:
            return False
        counts = self.count_documents(record.id)
        return (counts.get(Kind.COMMUNITY, 0), counts.get(Kind.LESSON, 0)) == (outline.communities, outline.lessons)

    def has_roster(self, customer_number: CustomerNumber) -> bool:
        """Return True if the store has a last good roster of the customer."""
        return customer_number in self._customers_with_roster

    @cached_property
    def key_owners(self) -> Mapping[str, Sequence[KeyOwner]]:
        """Return the customers that use each consumer key, or for which it is reserved."""
        return read_key_owners(self._reader.connection, clock.get_current_moment())

    @cached_property
    def old_previous_secrets(self) -> Mapping[CustomerNumber, Sequence[tuple[str, Moment]]]:
        """Return the (dotted path, moment when it was set) of previous secrets that are older than a switch takes."""
        return self._reader.list_previous_secrets(clock.subtract_span(clock.get_current_moment(), LONGEST_SWITCH))

    @cached_property
    def _secrets(self) -> Mapping[CustomerNumber, Mapping[str, SecretRecord]]:
        return self._reader.read_all_secrets()

    @cached_property
    def _documents(self) -> Mapping[CustomerNumber, Mapping[Kind, int]]:
        return self._reader.count_live_documents()

    @cached_property
    def _customers_with_roster(self) -> frozenset[CustomerNumber]:
        return self._reader.list_customers_with_roster()
