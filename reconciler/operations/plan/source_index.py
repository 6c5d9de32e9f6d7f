"""Find the customers that have the same source as another one, and their people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from reconciler.config.load import RosterSource, find_roster_source
from reconciler.config.repository import Repository
from reconciler.model.ids import CustomerId, CustomerNumber
from reconciler.planning.frames import LiveRoster
from reconciler.planning.holds import OtherCustomer
from reconciler.store.read import Reader, read_users


@dataclass(frozen=True, slots=True)
class _SourceOwner:
    id: CustomerId
    #: None for a customer that the store doesn't have yet
    number: CustomerNumber | None
    source: RosterSource


class SourceIndex:
    """The sources of all customers of the store, and of those that are only in the files; read when first needed."""

    def __init__(self, repository: Repository, reader: Reader) -> None:
        self._repository, self._reader = repository, reader

    def list_other_customers(
        self, customer: CustomerId, number: CustomerNumber | None, document: Mapping[str, object]
    ) -> tuple[OtherCustomer, ...]:
        """Return the customers that share the source of a customer's document, with their people.

        number: of the customer in the store. Of two customers that both have nobody yet, the one with the first ID
        gets the people."""
        source = find_roster_source(document)
        if source is None:
            return ()
        owners = {owner.id: owner for fact in source.facts for owner in self._by_fact[fact]}
        found = []
        for owner in sorted(owners.values(), key=lambda each: each.id):
            shared = source.find_shared_part(owner.source)
            if shared and owner.id != customer and (owner.number is None or owner.number != number):
                people = self._read_people(owner.number)
                is_copy = source.is_same_as(owner.source) and people.is_empty() and owner.id < customer
                found.append(OtherCustomer(owner.id, shared, people, gets_same_people=is_copy))
        return tuple(found)

    @cached_property
    def _by_fact(self) -> Mapping[object, Sequence[_SourceOwner]]:
        index: dict[object, list[_SourceOwner]] = defaultdict(list)
        for owner in self._list_owners():
            for fact in owner.source.facts:
                index[fact].append(owner)
        return index

    def _list_owners(self) -> list[_SourceOwner]:
        records = self._reader.read_customers(None)
        documents = {slug: (each.id, each.document) for slug, each in records.items() if not each.tombstoned}
        declared = {
            name: each.documents[0].document for name, each in self._repository.customers.items() if name not in records
        }
        every = {**documents, **{name: (None, document) for name, document in declared.items()}}
        sources = ((name, number, find_roster_source(document)) for name, (number, document) in every.items())
        return [_SourceOwner(name, number, source) for name, number, source in sources if source is not None]

    def _read_people(self, number: CustomerNumber | None) -> pl.DataFrame:
        if number is None:
            return LiveRoster().users
        return read_users(self._reader.connection, number).filter(
            ~pl.col("tombstoned") & pl.col("sourced_id").is_not_null()
        )
