"""What the store knows of all customers that a plan of many asks for one by one: each thing is read once, for all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from reconciler.model.kind import Kind
from reconciler.store.reader import Reader


class Standing:
    """Customers are named by `CustomerRecord.id`. Lives as long as its reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def secrets(self, customer: int) -> Mapping[str, tuple[str | None, str]]:
        """As `Reader.secrets` has them."""
        return self._secrets.get(customer, {})

    def documents(self, customer: int) -> Mapping[Kind, int]:
        """How many live communities and lessons it has; none of a kind has no entry."""
        return self._documents.get(customer, {})

    def has_roster(self, customer: int) -> bool:
        """Whether a good roster of it is kept."""
        return customer in self._rostered

    @cached_property
    def _secrets(self) -> Mapping[int, Mapping[str, tuple[str | None, str]]]:
        return self._reader.all_secrets()

    @cached_property
    def _documents(self) -> Mapping[int, Mapping[Kind, int]]:
        return self._reader.live_documents()

    @cached_property
    def _rostered(self) -> frozenset[int]:
        return self._reader.customers_with_roster()
