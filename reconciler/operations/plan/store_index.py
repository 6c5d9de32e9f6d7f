"""Read facts about all customers from the store at once, for plans that need them one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from reconciler.config.load import Outline
from reconciler.model.ids import CustomerId, CustomerNumber
from reconciler.model.kind import Kind
from reconciler.store.read import CustomerRecord, Reader


class StoreIndex:
    """Facts about all customers, each read once when first needed; lives as long as its reader."""

    def __init__(self, reader: Reader, records: Mapping[CustomerId, CustomerRecord]) -> None:
        self._reader = reader
        self._records = records

    def find_secrets(self, customer_number: CustomerNumber) -> Mapping[str, tuple[str | None, str]]:
        """Return the (reference, HMAC) of each secret, by dotted path."""
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
    def consumer_keys(self) -> Mapping[str, Sequence[CustomerId]]:
        """Return the ids of the active customers that use each consumer key."""
        owners: dict[str, list[CustomerId]] = defaultdict(list)
        for slug, record in self._records.items():
            if not record.tombstoned:
                for key in list_consumer_keys(record):
                    owners[key].append(slug)
        return owners

    @cached_property
    def _secrets(self) -> Mapping[CustomerNumber, Mapping[str, tuple[str | None, str]]]:
        return self._reader.read_all_secrets()

    @cached_property
    def _documents(self) -> Mapping[CustomerNumber, Mapping[Kind, int]]:
        return self._reader.count_live_documents()

    @cached_property
    def _customers_with_roster(self) -> frozenset[CustomerNumber]:
        return self._reader.list_customers_with_roster()


def list_consumer_keys(record: CustomerRecord) -> Iterator[str]:
    """Yield the consumer keys of a customer's LTI platforms, as last applied."""
    lti = record.document.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, Mapping) else None
    for platform in platforms.values() if isinstance(platforms, Mapping) else ():
        yield platform["consumer_key"]
