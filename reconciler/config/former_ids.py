"""What documents say that they were called before: a former id is nobody else's, and free.

Read from the documents as they were written, like other references.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from reconciler.config.tree import MappingNode, SequenceNode, value_span
from reconciler.config.values import ID
from reconciler.model.diagnostic import Diagnostic, Span, error
from reconciler.model.kind import Kind

#: an id, and where it is written
FormerId = tuple[str, Span]
#: a document's id, and the former ids that it names
Claims = tuple[str, Sequence[FormerId]]


def mistaken_former_ids(kind: Kind, documents: Sequence[Claims], present: Collection[str]) -> list[list[Diagnostic]]:
    """For each document, valid or not, of one kind and one owner, an error for each former id that it cannot have had.
    present: ids of all documents, read or not."""
    claims = [each for _, each in documents]
    uses: dict[str, list[Span]] = defaultdict(list)
    for each in claims:
        for former, span in each:
            uses[former].append(span)
    passed_on = {name for (name, _), each in zip(documents, claims, strict=True) if each}
    known = {name for name, _ in documents}
    round_again = _in_rings(documents, claims) if kind is Kind.CUSTOMER else frozenset()
    found: list[list[Diagnostic]] = []
    for (name, _), each in zip(documents, claims, strict=True):
        found.append([])
        for former, span in each:
            if former == name:
                found[-1].append(_own(kind, name, span))
            elif len(uses[former]) > 1:
                found[-1].append(_claimed(kind, former, span, uses[former]))
            elif former in present and former in known and former not in passed_on:
                found[-1].append(_in_use(kind, former, name, span))
            elif name in round_again and former in round_again:
                found[-1].append(_round(name, former, span))
    return found


def former_ids(tree: MappingNode) -> Iterator[FormerId]:
    """What a document, valid or not, says that it was called, as far as these are ids."""
    listed = tree.get("previously")
    if isinstance(listed, SequenceNode):
        for value, place in zip(listed, listed.places, strict=True):
            if isinstance(value, str) and re.fullmatch(ID, value):
                yield value, value_span(place)


def _in_rings(documents: Sequence[Claims], claims: Sequence[Sequence[FormerId]]) -> frozenset[str]:
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


def _own(kind: Kind, name: str, span: Span) -> Diagnostic:
    return error("former-id-is-own", f"{name} is this {kind}'s own id, and no former one", span, "leave it out")


def _claimed(kind: Kind, former: str, span: Span, uses: Sequence[Span]) -> Diagnostic:
    others = ", ".join(str(other) for other in uses if other != span)
    return error(
        "former-id-taken",
        f"the former id {former} is also claimed at {others}",
        span,
        f"only one {kind} can be what {former} was: leave it out of the others",
    )


def _in_use(kind: Kind, former: str, name: str, span: Span) -> Diagnostic:
    return error(
        "former-id-in-use",
        f"there is a {kind} {former}, so that {name} cannot be what it was",
        span,
        f"leave out {former}; or, if that {kind} is another one now, say under its own previously what it was",
    )


def _round(name: str, former: str, span: Span) -> Diagnostic:
    return error(
        "former-ids-go-round",
        f"{name} gets the id of {former}, and that one another's, round to {name} itself; customers are applied one by "
        "one",
        span,
        "rename one of them to an id that nobody has, apply, and then to the one that it is to have",
    )
