"""Finds people who would be new to a customer, but already belong to another customer with the same source."""

from dataclasses import dataclass, field

import polars as pl

from reconciler.model.ids import CustomerId
from reconciler.planning.roster import normalize_name

#: The largest share of people who may be new here and belong to another customer, such as teachers at two schools.
MAX_SHARED_PEOPLE = 0.05

#: The columns that must be equal, besides sourcedId, for people of two customers to be the same. A sourcedId
#: alone is not enough: two student information systems may both count from 1.
_NAMES = ("given_name", "family_name")
_SCHEMA = pl.Schema(dict.fromkeys(("sourced_id", *_NAMES), pl.String()))


@dataclass(frozen=True, slots=True)
class OtherCustomer:
    """A customer that has the same source."""

    id: CustomerId
    #: what both customers have in common, in plain words
    shared: str
    #: its active people
    people: pl.DataFrame
    #: whether it has nobody yet, and will have the same roster as this customer
    gets_same_people: bool = False


@dataclass(frozen=True, slots=True)
class PeopleAcrossCustomers:
    """The people whom a customer would have, and those of other customers with its source."""

    #: number of people whom the customer would have
    total: int = 0
    #: those of them whom it does not have yet
    new: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_SCHEMA))
    others: tuple[OtherCustomer, ...] = ()

    @property
    def needs_others(self) -> bool:
        """Return True if so many people are new that others must be asked for theirs."""
        return self.exceeds_limit(self.new.height)

    def exceeds_limit(self, number: int) -> bool:
        """Return True if this number of people is too many to be new here and belong to another customer."""
        return number > self.total * MAX_SHARED_PEOPLE

    def count_shared(self, other: OtherCustomer) -> int:
        """Return the number of new people who belong to the other customer: same sourcedId and same names."""
        return _normalize(self.new).join(_normalize(other.people), on=_SCHEMA.names(), nulls_equal=True).height


def find_new_people(desired: pl.DataFrame, live: pl.DataFrame) -> PeopleAcrossCustomers:
    """Return the number of desired people, and those of them who are not among the active people of `live`."""
    known = live.filter(~pl.col("tombstoned"))["sourced_id"].drop_nulls()
    return PeopleAcrossCustomers(desired.height, desired.filter(~pl.col("sourced_id").is_in(known.implode())))


def _normalize(people: pl.DataFrame) -> pl.DataFrame:
    return people.select("sourced_id", *(normalize_name(name) for name in _NAMES)).unique()
