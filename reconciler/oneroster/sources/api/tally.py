"""What a collection's rows are known by while it is read: hashes of sourcedIds, eight bytes a row.

The hashes live as long as one fetch does and are compared with nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.oneroster.sources.api.collections import PARENTS

#: So many missing parents are asked for one by one; more are looked for in their whole collection.
MOST_SINGLE = 200


class Tally:
    """rows: kept so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._keys: list[pl.Series] = []
        self._known: pl.Series | None = None

    def add(self, keys: pl.Series) -> None:
        """keys: the sourcedIds of one page. One that a page has twice is the data's fault, for the reader to judge."""
        self.rows += keys.len()
        self._keys.append(keys.drop_nulls().hash().unique())
        self._known = None

    def repeated(self) -> int:
        """How many sourcedIds came in more than one page: rows moved from page to page while they were read."""
        return sum(keys.len() for keys in self._keys) - self._all().len()

    def unknown(self, keys: pl.Series) -> pl.Series:
        """Those of `keys` that no row so far has; each once."""
        asked = keys.drop_nulls().unique()
        known = self._all()
        if not known.len():
            return asked
        hashes = asked.hash()
        places = known.search_sorted(hashes).clip(upper_bound=known.len() - 1)
        return asked.filter(known.gather(places) != hashes)

    def _all(self) -> pl.Series:
        if self._known is None:
            every = pl.concat(self._keys) if self._keys else pl.Series(dtype=pl.UInt64)
            self._known = every.unique().sort()
        return self._known


class Missing:
    """What enrollments name and nobody has, by the collection that should have it. Beyond `MOST_SINGLE` of one
    collection they are not told any more, only that there are as many."""

    def __init__(self) -> None:
        self.keys: dict[str, set[str]] = {}

    def look(self, enrollments: pl.DataFrame, tallies: Mapping[str, Tally]) -> None:
        for column, parent in PARENTS.items():
            known = self.keys.setdefault(parent, set())
            if len(known) <= MOST_SINGLE and parent in tallies:
                known.update(tallies[parent].unknown(enrollments[column]).head(MOST_SINGLE + 1).to_list())
