"""Checks references between documents: communities, lessons, consumer keys and former IDs.

It reads the documents as written, so that a mistake elsewhere in a document does not hide its references.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from reconciler.config.fields.values import ID_PATTERN, TEXT_PATTERN
from reconciler.config.yaml.tree import MappingNode, SequenceNode, get_value_span
from reconciler.model.diagnostic import Diagnostic, Span, build_error
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.suggestion import find_intended_name

#: (consumer key, its place)
ConsumerKey = tuple[str, Span]


def find_unknown_communities(customer: CustomerId, tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """Yield an error for each LMS that names a community which the customer does not have.

    tree: the customer's document, valid or not.
    """
    for name, where in _iter_platform_values(tree, "community", ID_PATTERN):
        if name not in known:
            yield build_error(
                "unknown-community",
                f"unknown community {name} of {customer}",
                where,
                _suggest_nearest(name, known, f"Create communities/{name}.yaml, or remove the reference."),
            )


def find_unknown_lessons(tree: MappingNode, known: Collection[str]) -> Iterator[Diagnostic]:
    """Yield an error for each lesson of a community that neither the customer nor the catalog has.

    tree: the community's document, valid or not.
    """
    lessons = tree.get("lessons")
    if not isinstance(lessons, SequenceNode):
        return
    for lesson, place in zip(lessons, lessons.places, strict=True):
        if isinstance(lesson, str) and re.fullmatch(ID_PATTERN, lesson) and lesson not in known:
            yield build_error(
                "unknown-lesson",
                f"unknown lesson {lesson}; neither the customer nor the catalog has it",
                get_value_span(place),
                _suggest_nearest(lesson, known, f"Create lessons/{lesson}.yaml, or remove the reference."),
            )


def find_consumer_keys(tree: MappingNode) -> tuple[ConsumerKey, ...]:
    """Return the consumer keys of a customer's document, valid or not."""
    return tuple(_iter_platform_values(tree, "consumer_key", TEXT_PATTERN))


def find_shared_consumer_keys(used: Iterable[Iterable[ConsumerKey]]) -> list[list[Diagnostic]]:
    """Return, for each customer, an error for each consumer key that is used more than once, with the other places."""
    errors: list[list[Diagnostic]] = []
    uses: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    for owner, keys in enumerate(used):
        errors.append([])
        for key, where in keys:
            uses[key].append((owner, where))
    for places in uses.values():
        for owner, span in places if len(places) > 1 else ():
            others = ", ".join(str(other) for _, other in places if other != span)
            errors[owner].append(
                build_error(
                    "consumer-key-taken",
                    f"this consumer_key is also used at {others or span}",
                    span,
                    "Give each LMS a different key: the consumer key identifies the LMS across all customers.",
                )
            )
    return errors


def _iter_platform_values(tree: MappingNode, key: str, pattern: str) -> Iterator[tuple[str, Span]]:
    """Yield (value, place) of a key of each LMS of a customer, if the value matches the pattern."""
    lti = tree.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, MappingNode) else None
    for platform in platforms if isinstance(platforms, SequenceNode) else ():
        value = platform.get(key) if isinstance(platform, MappingNode) else None
        if isinstance(platform, MappingNode) and isinstance(value, str) and re.fullmatch(pattern, value):
            yield value, get_value_span(platform.places[key])


def _suggest_nearest(name: str, known: Collection[str], otherwise: str) -> str:
    meant = find_intended_name(name, sorted(known))
    return f"Did you mean {meant}?" if meant else otherwise


#: (former ID, its place)
FormerId = tuple[str, Span]
#: (a document's ID, the former IDs that it lists)
Claims = tuple[str, Sequence[FormerId]]


def find_former_id_mistakes(
    kind: Kind, documents: Sequence[Claims], present: Collection[str]
) -> list[list[Diagnostic]]:
    """Return, for each document of one kind and one owner, an error for each former ID that it cannot have had.

    documents: valid or not. present: IDs of all documents, read or not.
    """
    claims = [each for _, each in documents]
    uses: dict[str, list[Span]] = defaultdict(list)
    for each in claims:
        for former, span in each:
            uses[former].append(span)
    renamed = {name for (name, _), each in zip(documents, claims, strict=True) if each}
    known = {name for name, _ in documents}
    in_cycle = _find_rings(documents, claims) if kind is Kind.CUSTOMER else frozenset()
    errors: list[list[Diagnostic]] = []
    for (name, _), each in zip(documents, claims, strict=True):
        errors.append([])
        for former, span in each:
            if former == name:
                errors[-1].append(_build_own_id_error(kind, name, span))
            elif len(uses[former]) > 1:
                errors[-1].append(_build_id_taken_error(kind, former, span, uses[former]))
            elif former in present and former in known and former not in renamed:
                errors[-1].append(_build_id_in_use_error(kind, former, name, span))
            elif name in in_cycle and former in in_cycle:
                errors[-1].append(_build_ring_error(name, former, span))
    return errors


def find_former_ids(tree: MappingNode) -> Iterator[FormerId]:
    """Yield the former IDs of a document, valid or not, that have the form of an ID."""
    listed = tree.get("previously")
    if isinstance(listed, SequenceNode):
        for value, place in zip(listed, listed.places, strict=True):
            if isinstance(value, str) and re.fullmatch(ID_PATTERN, value):
                yield value, get_value_span(place)


def _find_rings(documents: Sequence[Claims], claims: Sequence[Sequence[FormerId]]) -> frozenset[str]:
    """Return the documents whose renames form a cycle."""
    before: Mapping[str, set[str]] = {
        name: {former for former, _ in each} for (name, _), each in zip(documents, claims, strict=True) if each
    }
    in_cycle = set()
    for start in before:
        seen: set[str] = set()
        unvisited = set(before[start])
        while unvisited:
            each = unvisited.pop()
            if each not in seen:
                seen.add(each)
                unvisited |= before.get(each, set())
        if start in seen:
            in_cycle.add(start)
    return frozenset(in_cycle)


def _build_own_id_error(kind: Kind, name: str, span: Span) -> Diagnostic:
    return build_error("former-id-is-own", f"{name} is the current ID of this {kind}", span, "Remove it from the list.")


def _build_id_taken_error(kind: Kind, former: str, span: Span, uses: Sequence[Span]) -> Diagnostic:
    others = ", ".join(str(other) for other in uses if other != span)
    return build_error(
        "former-id-taken",
        f"the former ID {former} is also listed at {others}",
        span,
        f"Keep it in one place: {former} became only one {kind}.",
    )


def _build_id_in_use_error(kind: Kind, former: str, name: str, span: Span) -> Diagnostic:
    return build_error(
        "former-id-in-use",
        f"{name} lists {former} under previously, but {kind} {former} still exists",
        span,
        f"Remove {former} from the list. "
        f"If {former} is now a different {kind}, list its own former ID under its previously.",
    )


def _build_ring_error(name: str, former: str, span: Span) -> Diagnostic:
    return build_error(
        "former-ids-go-round",
        f"the renames form a cycle through {former} and {name}; customers are applied one at a time",
        span,
        "Rename one of them to an unused ID, apply, then rename it to its final ID.",
    )
