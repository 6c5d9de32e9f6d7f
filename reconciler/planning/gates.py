"""Source gates that need to know what was there before: rules that refuse a whole snapshot.

A file with a header and no rows is no evidence that everything is gone, where the store holds such rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.diagnostic import Diagnostic, Span, error
from reconciler.model.kind import Kind


def emptied_files(rows: Mapping[str, int], live: Mapping[Kind, int]) -> tuple[Diagnostic, ...]:
    """rows: data rows by file stem. live: rows that the store holds of this customer, by kind."""
    return tuple(
        error(
            "emptied-file",
            f"{kind.plural}.csv has a header and no rows, but {live[kind]:,} {kind.plural} are live",
            Span(f"{kind.plural}.csv", 1),
            "a file that was left empty by mistake looks just like this: export it again",
        )
        for kind in (Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT)
        if not rows.get(kind.plural, 0) and live.get(kind, 0)
    )
