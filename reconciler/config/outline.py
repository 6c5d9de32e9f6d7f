"""What of a customer's documents tells whether there is anything to plan, beside their digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.config.secret_references import SecretName, secret_references
from reconciler.model.kind import Kind

#: (kind, id) -> a JSON-able document, the customer's own among them
Documents = Mapping[tuple[Kind, str], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Outline:
    """communities, lessons: how many it has. renames: whether any of these says what it was called before. secrets:
    those that its own document names."""

    communities: int
    lessons: int
    renames: bool
    secrets: tuple[SecretName, ...]

    @property
    def numbers(self) -> dict[Kind, int]:
        """Documents by kind; none of a kind has no entry."""
        counted = {Kind.CUSTOMER: 1, Kind.COMMUNITY: self.communities, Kind.LESSON: self.lessons}
        return {kind: number for kind, number in counted.items() if number}


def outline_of(documents: Documents) -> Outline:
    """Of all documents of one customer."""
    kinds = [kind for kind, _ in documents]
    others = [each for (kind, _), each in documents.items() if kind is not Kind.CUSTOMER]
    own = [each for (kind, _), each in documents.items() if kind is Kind.CUSTOMER]
    return Outline(
        kinds.count(Kind.COMMUNITY),
        kinds.count(Kind.LESSON),
        any(each.get("previously") for each in others),
        tuple(found for each in own for found in secret_references(each)),
    )
