"""Fetch the rosters of the next customers while one customer is planned."""

from collections import deque
from collections.abc import Iterator, Sequence

from reconciler.model.ids import CustomerId
from reconciler.operations.fetch.fetching import WINDOW
from reconciler.operations.fetch.fresh import is_fetched_automatically
from reconciler.operations.fetch.snapshots import read_earlier_roster
from reconciler.operations.plan.context import PlanContext
from reconciler.operations.plan.request import RosterChoice


def fetch_ahead(context: PlanContext, customers: Sequence[CustomerId]) -> Iterator[CustomerId]:
    """Yield each customer in order, once its fetch has started.

    At most WINDOW fetched rosters are open at a time: each one that was planned makes room for the next."""
    fresh = context.fresh
    waiting = deque(customers if context.request.roster is RosterChoice.FRESH else ())
    open_: set[str] = set()
    for customer in customers:
        while waiting and len(open_) < WINDOW:
            following = waiting.popleft()
            _start_fetch(context, following)
            if following in fresh:
                open_.add(following)
        if context.fresh.is_fetching(customer):
            # A fetch may take hours: an open transaction would keep the server from cleaning up, and may be ended.
            with context.reader.connection.suspend_reading():
                context.fresh.wait_for_end(customer)
        yield customer
        fresh.discard_fetch(customer)
        open_.discard(customer)


def _start_fetch(context: PlanContext, customer: CustomerId) -> None:
    resolved = context.repository.customers.get(customer)
    prefetched = context.request.prefetched
    if customer in prefetched:
        context.fresh.add_fetched(customer, prefetched[customer])
    elif resolved is not None and customer not in context.fresh and is_fetched_automatically(resolved.customer):
        record = context.find_record(customer)
        earlier = read_earlier_roster(context.reader, record.id if record else None)
        context.fresh.start_fetch(resolved.customer, earlier)
