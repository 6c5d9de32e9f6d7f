"""What one document says of another: references must resolve, consumer keys are used once.

Read from the documents as they were written: a mistake elsewhere in one must not hide what it refers to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from reconciler.config.tree import MappingNode, SequenceNode, value_span
from reconciler.config.values import ID, TEXT
from reconciler.model.diagnostic import Diagnostic, Span, error

#: a key, and where it is written
ConsumerKey = tuple[str, Span]


def unknown_communities(customer: str, tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """LMSs that name a community which this customer does not have. tree: the customer's document, valid or not."""
    for name, where in _of_platforms(tree, "community", ID):
        if name not in known:
            yield error(
                "unknown-community",
                f"there is no community {name} of {customer}",
                where,
                _nearest(name, known, f"write communities/{name}.yaml"),
            )


def unknown_lessons(tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """Lessons of a community that neither the customer nor the catalogue has. tree: the community's document."""
    lessons = tree.get("lessons")
    if not isinstance(lessons, SequenceNode):
        return
    for lesson, place in zip(lessons, lessons.places, strict=True):
        if isinstance(lesson, str) and re.fullmatch(ID, lesson) and lesson not in known:
            yield error(
                "unknown-lesson",
                f"there is no lesson {lesson}, neither of the customer nor in the catalogue",
                value_span(place),
                _nearest(lesson, known, f"write lessons/{lesson}.yaml"),
            )


def consumer_keys(tree: MappingNode) -> tuple[ConsumerKey, ...]:
    """Of a customer's document, valid or not."""
    return tuple(_of_platforms(tree, "consumer_key", TEXT))


def shared_consumer_keys(used: Iterable[Iterable[ConsumerKey]]) -> list[list[Diagnostic]]:
    """For each customer's consumer keys, an error for each that is used elsewhere, naming both places."""
    found: list[list[Diagnostic]] = []
    uses: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    for owner, keys in enumerate(used):
        found.append([])
        for key, where in keys:
            uses[key].append((owner, where))
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


def _of_platforms(tree: MappingNode, key: str, pattern: str) -> Iterator[tuple[str, Span]]:
    """What each LMS of a customer says under a key, and where, as far as it has the form that it must have."""
    lti = tree.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, MappingNode) else None
    for platform in platforms if isinstance(platforms, SequenceNode) else ():
        value = platform.get(key) if isinstance(platform, MappingNode) else None
        if isinstance(platform, MappingNode) and isinstance(value, str) and re.fullmatch(pattern, value):
            yield value, value_span(platform.places[key])


def _nearest(name: str, known: Collection[str], otherwise: str) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise
