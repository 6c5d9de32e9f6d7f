"""Warns of people who leave while somebody who stays has the same identifier: they are probably one person.

The value need not be what `match_with` compares; nobody is matched by it here.
"""

from collections.abc import Iterator

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.roster.desired import DesiredRoster
from reconciler.planning.roster.persons import make_comparable

SEEMING_LEAVER = "leaver-seems-to-stay"
#: Leavers that get a warning each; the others are counted.
MOST_SHOWN = 10


def warn_seeming_leavers(users: pl.DataFrame | None, desired: DesiredRoster) -> Iterator[Diagnostic]:
    """Yield a warning for each leaver whose identifier one row of the roster has. `users` are the changes of people."""
    if users is None:
        return
    leavers = users.filter(
        is_leaving(Kind.USER) & pl.col("before_identifier").is_not_null() & (pl.col("reason") != Reason.MERGED.value)
    ).select("key", make_comparable(pl.col("before_identifier")).alias("identifier"))
    if not leavers.height:
        return
    # A new person with the identifier is probably the leaver under a new sourcedId, which is held.
    new = users.filter(pl.col("live_id").is_null())["key"]
    rows = (
        desired.frames[Kind.USER]
        .with_columns(make_comparable(pl.col("identifier")))
        .join(leavers, on="identifier", how="semi")
        .filter(~pl.col("sourced_id").is_in(new.implode()))
        .select("identifier", "sourced_id", "line")
    )
    # An identifier of several people, such as 0 or N/A, is nobody's.
    pairs = (
        leavers.filter(~pl.col("identifier").is_duplicated())
        .join(rows.filter(~pl.col("identifier").is_duplicated()), on="identifier", how="inner")
        .sort("line", "key")
    )
    for leaver, stays, line in pairs.head(MOST_SHOWN).select("key", "sourced_id", "line").iter_rows():
        yield build_warning(
            SEEMING_LEAVER,
            f'"{leaver}" leaves, and "{stays}", who stays, has the same identifier',
            Span("users.csv", line),
            f"If they are one person, write under rostering: merges: [{{keep: {stays}, merge: {leaver}, reason: …}}]",
        )
    more = pairs.height - MOST_SHOWN
    if more > 0:
        yield build_warning(
            SEEMING_LEAVER,
            f"{more:,} more leave while somebody with the same identifier stays",
            Span("users.csv"),
            "If they are one person each, list their sourcedIds under rostering.merges.",
        )
