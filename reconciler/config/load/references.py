"""What one document says of another: references must resolve, consumer keys are used once.

Read from the documents as they were written: a mistake elsewhere in one must not hide what it refers to.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from reconciler.config.fields.values import ID_PATTERN, TEXT_PATTERN
from reconciler.config.yaml.tree import MappingNode, SequenceNode, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error
from reconciler.model.kind import Kind

#: a key, and where it is written
ConsumerKey = tuple[str, Span]


def find_unknown_communities(customer: str, tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """LMSs that name a community which this customer does not have. tree: the customer's document, valid or not."""
    for name, where in _iter_platform_values(tree, "community", ID_PATTERN):
        if name not in known:
            yield build_error(
                "unknown-community",
                f"there is no community {name} of {customer}",
                where,
                _suggest_nearest(name, known, f"write communities/{name}.yaml"),
            )


def find_unknown_lessons(tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """Lessons of a community that neither the customer nor the catalogue has. tree: the community's document."""
    lessons = tree.get("lessons")
    if not isinstance(lessons, SequenceNode):
        return
    for lesson, place in zip(lessons, lessons.places, strict=True):
        if isinstance(lesson, str) and re.fullmatch(ID_PATTERN, lesson) and lesson not in known:
            yield build_error(
                "unknown-lesson",
                f"there is no lesson {lesson}, neither of the customer nor in the catalogue",
                get_value_span(place),
                _suggest_nearest(lesson, known, f"write lessons/{lesson}.yaml"),
            )


def find_consumer_keys(tree: MappingNode) -> tuple[ConsumerKey, ...]:
    """Of a customer's document, valid or not."""
    return tuple(_iter_platform_values(tree, "consumer_key", TEXT_PATTERN))


def find_shared_consumer_keys(used: Iterable[Iterable[ConsumerKey]]) -> list[list[Diagnostic]]:
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
                build_error(
                    "consumer-key-taken",
                    f"this consumer_key is also used at {others or span}",
                    span,
                    "a consumer key tells whose LMS is calling: each is used once over all customers",
                )
            )
    return found


def _iter_platform_values(tree: MappingNode, key: str, pattern: str) -> Iterator[tuple[str, Span]]:
    """What each LMS of a customer says under a key, and where, as far as it has the form that it must have."""
    lti = tree.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, MappingNode) else None
    for platform in platforms if isinstance(platforms, SequenceNode) else ():
        value = platform.get(key) if isinstance(platform, MappingNode) else None
        if isinstance(platform, MappingNode) and isinstance(value, str) and re.fullmatch(pattern, value):
            yield value, get_value_span(platform.places[key])


def _suggest_nearest(name: str, known: Collection[str], otherwise: str) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise


# What documents say that they were called before: a former id is nobody else's, and free.


#: an id, and where it is written
FormerId = tuple[str, Span]
#: a document's id, and the former ids that it names
Claims = tuple[str, Sequence[FormerId]]


def find_former_id_mistakes(
    kind: Kind, documents: Sequence[Claims], present: Collection[str]
) -> list[list[Diagnostic]]:
    """For each document, valid or not, of one kind and one owner, an error for each former id that it cannot have had.
    present: ids of all documents, read or not."""
    claims = [each for _, each in documents]
    uses: dict[str, list[Span]] = defaultdict(list)
    for each in claims:
        for former, span in each:
            uses[former].append(span)
    passed_on = {name for (name, _), each in zip(documents, claims, strict=True) if each}
    known = {name for name, _ in documents}
    round_again = _find_rings(documents, claims) if kind is Kind.CUSTOMER else frozenset()
    found: list[list[Diagnostic]] = []
    for (name, _), each in zip(documents, claims, strict=True):
        found.append([])
        for former, span in each:
            if former == name:
                found[-1].append(_build_own_id_error(kind, name, span))
            elif len(uses[former]) > 1:
                found[-1].append(_build_id_taken_error(kind, former, span, uses[former]))
            elif former in present and former in known and former not in passed_on:
                found[-1].append(_build_id_in_use_error(kind, former, name, span))
            elif name in round_again and former in round_again:
                found[-1].append(_build_ring_error(name, former, span))
    return found


def find_former_ids(tree: MappingNode) -> Iterator[FormerId]:
    """What a document, valid or not, says that it was called, as far as these are ids."""
    listed = tree.get("previously")
    if isinstance(listed, SequenceNode):
        for value, place in zip(listed, listed.places, strict=True):
            if isinstance(value, str) and re.fullmatch(ID_PATTERN, value):
                yield value, get_value_span(place)


def _find_rings(documents: Sequence[Claims], claims: Sequence[Sequence[FormerId]]) -> frozenset[str]:
    """Documents that get an id which, passed on from one to the next, is their own again."""
    before: Mapping[str, set[str]] = {
        name: {former for former, _ in each} for (name, _), each in zip(documents, claims, strict=True) if each
    }
    found = set()
    for start in before:
        seen: set[str] = set()
        open_ones = set(before[start])
        while open_ones:
            each = open_ones.pop()
            if each not in seen:
                seen.add(each)
                open_ones |= before.get(each, set())
        if start in seen:
            found.add(start)
    return frozenset(found)


def _build_own_id_error(kind: Kind, name: str, span: Span) -> Diagnostic:
    return build_error("former-id-is-own", f"{name} is this {kind}'s own id, and no former one", span, "leave it out")


def _build_id_taken_error(kind: Kind, former: str, span: Span, uses: Sequence[Span]) -> Diagnostic:
    others = ", ".join(str(other) for other in uses if other != span)
    return build_error(
        "former-id-taken",
        f"the former id {former} is also claimed at {others}",
        span,
        f"only one {kind} can be what {former} was: leave it out of the others",
    )


def _build_id_in_use_error(kind: Kind, former: str, name: str, span: Span) -> Diagnostic:
    return build_error(
        "former-id-in-use",
        f"there is a {kind} {former}, so that {name} cannot be what it was",
        span,
        f"leave out {former}; or, if that {kind} is another one now, say under its own previously what it was",
    )


def _build_ring_error(name: str, former: str, span: Span) -> Diagnostic:
    return build_error(
        "former-ids-go-round",
        f"{name} gets the id of {former}, and that one another's, round to {name} itself; customers are applied one by "
        "one",
        span,
        "rename one of them to an id that nobody has, apply, and then to the one that it is to have",
    )
