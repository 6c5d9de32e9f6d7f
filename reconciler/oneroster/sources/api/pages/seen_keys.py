"""Tracks the sourcedIds already seen in a collection, as 8-byte hashes.

The hashes are used in one fetch only. Pages are added a few dozen at a time, because the fixed cost of a step outweighs
a small page.
"""

from collections.abc import Mapping

import polars as pl

from reconciler.oneroster.sources.api.records.collections import PARENTS

#: Maximum number of missing parents to request one by one; for more, the whole collection is read again.
MAX_SINGLE_REQUESTS = 200
#: Pages to process together.
PAGES_PER_BATCH = 64


class KeyTally:
    """The sourcedIds seen so far in one collection."""

    def __init__(self) -> None:
        self.rows = 0
        self._keys: list[pl.Series] = []
        self._pages: list[pl.Series] = []
        self._known: pl.Series | None = None

    def add_keys(self, keys: pl.Series, *, unique: bool) -> None:
        """Add the sourcedIds of one page.

        unique: none is null or repeated within the page. A repetition within a page is the data's fault, for the reader
        to judge.
        """
        self.rows += keys.len()
        self._pages.append(keys if unique else keys.drop_nulls().unique())
        self._known = None
        if len(self._pages) >= PAGES_PER_BATCH:
            self._hash_pages()

    def count_repeated(self) -> int:
        """Return how many sourcedIds came in more than one page: rows moved between pages while they were read."""
        self._hash_pages()
        return sum(keys.len() for keys in self._keys) - self._collect_known_keys().len()

    def find_unknown(self, keys: pl.Series) -> pl.Series:
        """Return the `keys` that no row so far has, each once."""
        asked = keys.drop_nulls().unique()
        known = self._collect_known_keys()
        if not known.len():
            return asked
        hashes = asked.hash()
        places = known.search_sorted(hashes).clip(upper_bound=known.len() - 1)
        return asked.filter(known.gather(places) != hashes)

    def _hash_pages(self) -> None:
        if self._pages:
            self._keys.append(pl.concat(self._pages).hash())
            self._pages.clear()

    def _collect_known_keys(self) -> pl.Series:
        self._hash_pages()
        if self._known is None:
            every = pl.concat(self._keys) if self._keys else pl.Series(dtype=pl.UInt64)
            self._known = every.unique().sort()
        return self._known


class MissingParents:
    """Collects parents that enrollments name and no collection has: at most `MAX_SINGLE_REQUESTS` + 1 of each one."""

    def __init__(self, tallies: Mapping[str, KeyTally]) -> None:
        self._tallies = tallies
        self._pages: list[pl.DataFrame] = []
        self._keys: dict[str, set[str]] = {}

    def add_enrollments(self, enrollments: pl.DataFrame) -> None:
        """Add one page of enrollments. Call after all parents are read."""
        self._pages.append(enrollments.select(list(PARENTS)))
        if len(self._pages) >= PAGES_PER_BATCH:
            self._find_missing_parents()

    def reset(self) -> None:
        """Forget all parents, because enrollments are read again from the start."""
        self._pages.clear()
        self._keys.clear()

    def collect_keys(self) -> Mapping[str, set[str]]:
        """Return the sourcedIds of missing parents by collection."""
        self._find_missing_parents()
        return self._keys

    def _find_missing_parents(self) -> None:
        if not self._pages:
            return
        enrollments = pl.concat(self._pages)
        self._pages.clear()
        for column, parent in PARENTS.items():
            found = self._keys.setdefault(parent, set())
            if len(found) <= MAX_SINGLE_REQUESTS:
                found.update(
                    self._tallies[parent].find_unknown(enrollments[column]).head(MAX_SINGLE_REQUESTS + 1).to_list()
                )
