"""What the store knows of all customers that a plan of many asks for one by one: each thing is read once, for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from reconciler.config.load.resolved import Outline
from reconciler.model.kind import Kind
from reconciler.store.read.reader import Reader
from reconciler.store.read.records import CustomerRecord


class StoreIndex:
    """Customers are named by `CustomerRecord.id`. Lives as long as its reader."""

    def __init__(self, reader: Reader, records: Mapping[str, CustomerRecord]) -> None:
        """records: all customers that the store has, by id."""
        self._reader = reader
        self._records = records

    def find_secrets(self, customer_number: int) -> Mapping[str, tuple[str | None, str]]:
        """As `Reader.secrets` has them."""
        return self._secrets.get(customer_number, {})

    def count_documents(self, customer_number: int) -> Mapping[Kind, int]:
        """How many live communities and lessons it has; none of a kind has no entry."""
        return self._documents.get(customer_number, {})

    def has_same_documents(self, record: CustomerRecord, declared_digest: str, outline: Outline) -> bool:
        """Whether the store has these documents and no others, without reading them: its digest goes with any other
        hand's write. A removal that waits for a person leaves more documents than the digest is of, and of former ids
        there may be something to tell. declared: their digest."""
        if record.tombstoned or record.settings_digest != declared_digest or outline.renames:
            return False
        alive = self.count_documents(record.id)
        return (alive.get(Kind.COMMUNITY, 0), alive.get(Kind.LESSON, 0)) == (outline.communities, outline.lessons)

    def has_roster(self, customer_number: int) -> bool:
        """Whether a good roster of it is kept."""
        return customer_number in self._customers_with_roster

    @cached_property
    def consumer_keys(self) -> Mapping[str, Sequence[str]]:
        """By each that a live customer has, the ids of those that have it."""
        owners: dict[str, list[str]] = defaultdict(list)
        for slug, record in self._records.items():
            if not record.tombstoned:
                for key in list_consumer_keys(record):
                    owners[key].append(slug)
        return owners

    @cached_property
    def _secrets(self) -> Mapping[int, Mapping[str, tuple[str | None, str]]]:
        return self._reader.read_all_secrets()

    @cached_property
    def _documents(self) -> Mapping[int, Mapping[Kind, int]]:
        return self._reader.count_live_documents()

    @cached_property
    def _customers_with_roster(self) -> frozenset[int]:
        return self._reader.list_customers_with_roster()


def list_consumer_keys(record: CustomerRecord) -> Iterator[str]:
    """Those of a customer's LTI platforms, as its document in the store has them."""
    lti = record.document.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, Mapping) else None
    for platform in platforms.values() if isinstance(platforms, Mapping) else ():
        yield platform["consumer_key"]
