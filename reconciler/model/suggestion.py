"""Finds the name that a person meant, for hints of errors: a synonym, another spelling or a typing error."""

import re
from collections.abc import Collection, Mapping
from difflib import SequenceMatcher

#: The least similarity of a typing error: two swapped letters of a word of four. Below it, suggestions mislead more
#: often than they help (`shoe_size` is as near to `sourced_id` as 0.63).
LEAST_SIMILARITY = 0.75


def find_intended_name(
    written: str, names: Collection[str], synonyms: Mapping[str, str | tuple[str, ...]] | None = None
) -> str | None:
    """Return the one of the names that was probably meant, or None where none or more than one is near.

    synonyms: another word, in lowercase with underscores -> one name or several; those not among the names are ignored.
    """
    folded = fold_spelling(written)
    meant = (synonyms or {}).get(folded, ())
    for each in (meant,) if isinstance(meant, str) else meant:
        if each in names:
            return each
    near: dict[str, float] = {}
    for name in names:
        if fold_spelling(name) == folded:
            return name
        near[name] = SequenceMatcher(None, folded, fold_spelling(name)).ratio()
    best = max(near.values(), default=0.0)
    nearest = [name for name, similarity in near.items() if similarity == best]
    return nearest[0] if best >= LEAST_SIMILARITY and len(nearest) == 1 else None


def fold_spelling(name: str) -> str:
    """Return a name in lowercase with underscores: `givenName`, `given-name` and `Given name` are `given_name`."""
    return re.sub(r"[\s_-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower()
