"""Everything that one plan reads from: the files, the store and the fresh rosters."""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.config.comparison import BaseComparison
from reconciler.config.repository import Repository
from reconciler.model.ids import CustomerId
from reconciler.operations.fetch.fresh import FreshRosters
from reconciler.operations.plan.renames import CustomerRenames
from reconciler.operations.plan.request import PlanRequest
from reconciler.operations.plan.source_index import SourceIndex
from reconciler.operations.plan.store_index import StoreIndex
from reconciler.operations.workspace import Workspace
from reconciler.planning.documents import LikelyRename
from reconciler.store.read import CustomerRecord, Reader


@dataclass(frozen=True, slots=True)
class PlanContext:
    """The inputs of one plan; lives as long as its reader."""

    workspace: Workspace
    request: PlanRequest
    fresh: FreshRosters
    reader: Reader
    store_index: StoreIndex
    #: the store's customers, by the id that the store has them under
    records: Mapping[CustomerId, CustomerRecord]
    renames: CustomerRenames
    #: pairs of customers that look like one, of which the files do not say so
    likely_renames: tuple[LikelyRename, ...]
    source_index: SourceIndex

    @property
    def repository(self) -> Repository:
        return self.workspace.repository

    @property
    def comparison(self) -> BaseComparison | None:
        """Return the comparison with a base in git, or None if the plan has no base."""
        return self.workspace.comparison

    def list_likely_renames(self, customer: CustomerId) -> tuple[LikelyRename, ...]:
        """Return the likely renames to or from a customer."""
        return tuple(each for each in self.likely_renames if customer in (each.former, each.new))

    def find_record(self, customer: CustomerId) -> CustomerRecord | None:
        """Return the store's record of a customer, which may be under a former id."""
        return self.records.get(self.renames.renames.former.get(customer, customer))
