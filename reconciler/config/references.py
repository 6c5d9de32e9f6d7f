"""What one document says of another: references must resolve, consumer keys are used once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from reconciler.config.models.community import Community
from reconciler.config.models.customer import Customer
from reconciler.config.tree import MappingNode, place_at, value_span
from reconciler.model.diagnostic import Diagnostic, Span, error


def unknown_communities(customer: Customer, tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """LMSs that name a community which this customer does not have."""
    for place, platform in enumerate(customer.lti.platforms):
        if platform.community not in known:
            where, _, _ = place_at(tree, ("lti", "platforms", place, "community"))
            yield error(
                "unknown-community",
                f"there is no community {platform.community} of {customer.id}",
                value_span(where),
                _nearest(platform.community, known, f"write communities/{platform.community}.yaml"),
            )


def unknown_lessons(community: Community, tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """Lessons of a community that neither the customer nor the catalogue has."""
    if community.lessons == "all":
        return
    for place, lesson in enumerate(community.lessons):
        if lesson not in known:
            where, _, _ = place_at(tree, ("lessons", place))
            yield error(
                "unknown-lesson",
                f"there is no lesson {lesson}, neither of the customer nor in the catalogue",
                value_span(where),
                _nearest(lesson, known, f"write lessons/{lesson}.yaml"),
            )


def shared_consumer_keys(customers: Iterable[tuple[Customer, MappingNode]]) -> Mapping[str, list[Diagnostic]]:
    """Customer id -> an error for each of its consumer keys that is used elsewhere, naming both places."""
    uses: dict[str, list[tuple[str, Span]]] = defaultdict(list)
    for customer, tree in customers:
        for place, platform in enumerate(customer.lti.platforms):
            where, _, _ = place_at(tree, ("lti", "platforms", place, "consumer_key"))
            uses[platform.consumer_key].append((customer.id, value_span(where)))
    found: dict[str, list[Diagnostic]] = defaultdict(list)
    for places in uses.values():
        for owner, span in places if len(places) > 1 else ():
            others = ", ".join(str(other) for _, other in places if other != span)
            found[owner].append(
                error(
                    "consumer-key-taken",
                    f"this consumer_key is also used at {others or span}",
                    span,
                    "a consumer key tells whose LMS is calling: each is used once over all customers",
                )
            )
    return found


def _nearest(name: str, known: Collection[str], otherwise: str) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise
