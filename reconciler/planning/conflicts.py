"""Rows of one file that claim one address or one username: nobody is linked by a value that two people have.

Where one of them is there already and the other one is new, which of them is meant cannot be known: both rows are set
aside, and with them nobody is linked, changed or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, error, info, warning
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA
from reconciler.planning.desired import Desired

CODE = "identity-conflict"
SHARED = "shared-email"
#: Of this many values that people share each is told; the rest is counted. So many lines of one are listed.
MOST_VALUES = 1000
MOST_LINES = 10


def without_conflicts(desired: Desired, live: pl.DataFrame, match_with: str) -> Desired:
    """live: users, tombstones included."""
    if match_with == "username":
        desired = _told_apart(desired, live)
    users = desired.frames[Kind.USER]
    emails = users["email"].drop_nulls()
    known = live["sourced_id"].drop_nulls()
    rows = (
        users.clear()
        if emails.hash().n_unique() == emails.len()
        else users.filter(pl.col("email").is_not_null() & pl.col("email").is_duplicated())
    )
    several = _with_lines(rows, "email", known)
    conflict = pl.col("bound").any().over("email") & ~pl.col("bound").all().over("email")
    torn = several.filter(conflict) if match_with == "email" else several.clear()
    shared = several.join(torn, on="sourced_id", how="anti", maintain_order="left")
    claimed = _claimed(desired, users, live, known) if match_with == "email" and desired.quarantine.height else torn
    aside = pl.concat([_aside(torn, "email"), _aside(claimed.join(torn, on="sourced_id", how="anti"), "email")])
    notes = tuple(_shared(shared, match_with))
    if not aside.height:
        return replace(desired, diagnostics=(*desired.diagnostics, *notes)) if notes else desired
    kept = users.join(aside, left_on="sourced_id", right_on="key", how="anti", maintain_order="left")
    return replace(
        desired,
        frames={**desired.frames, Kind.USER: kept},
        quarantine=pl.concat([desired.quarantine, aside]),
        diagnostics=(*desired.diagnostics, *notes),
    )


def _with_lines(rows: pl.DataFrame, value: str, known: pl.Series) -> pl.DataFrame:
    """`sourced_id`, `line`, what a row set aside is known by, `bound` (an account has its sourcedId), and `lines`:
    those of all rows with its value, as text."""
    more = pl.when(pl.col("every").list.len() > MOST_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    return (
        rows.with_columns(
            pl.col("sourced_id").is_in(known.implode()).alias("bound"),
            pl.col("line").sort().implode().over(value).alias("every"),
        )
        .with_columns(
            (pl.col("every").list.head(MOST_LINES).cast(pl.List(pl.String)).list.join(", ") + more).alias("lines")
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _claimed(desired: Desired, users: pl.DataFrame, live: pl.DataFrame, known: pl.Series) -> pl.DataFrame:
    """New rows with the address of an account whose own row was set aside."""
    named = desired.quarantine.filter((pl.col("kind") == Kind.USER.value) & pl.col("key").is_not_null())
    owners = (
        live.filter(~pl.col("tombstoned") & pl.col("email").is_not_null())
        .join(named.select("key", pl.col("line").alias("other")), left_on="sourced_id", right_on="key", how="inner")
        .unique("email", keep="first", maintain_order=True)
        .select("email", "other")
    )
    return (
        users.filter(~pl.col("sourced_id").is_in(known.implode()))
        .join(owners, on="email", how="inner", maintain_order="left")
        .with_columns(
            pl.lit(False).alias("bound"),
            pl.concat_list(pl.min_horizontal("line", "other"), pl.max_horizontal("line", "other"))
            .cast(pl.List(pl.String))
            .list.join(", ")
            .alias("lines"),
        )
        .select("sourced_id", "line", "identifier", "email", "roster_username", "bound", "lines")
    )


def _aside(rows: pl.DataFrame, value: str) -> pl.DataFrame:
    return rows.select(
        pl.lit(Kind.USER.value).alias("kind"),
        pl.col("sourced_id").alias("key"),
        pl.lit("users.csv").alias("file"),
        "line",
        pl.lit(0, dtype=pl.Int64).alias("column"),
        pl.lit(CODE).alias("code"),
        _message(value),
        _hint(value),
        "identifier",
        "email",
        pl.col("roster_username").alias("username"),
    ).select(list(QUARANTINE_SCHEMA))


def _message(value: str) -> pl.Expr:
    return pl.format(
        f"a new person and one who is there already have the same {value}: lines {{}}", pl.col("lines")
    ).alias("message")


def _hint(value: str) -> pl.Expr:
    return pl.lit(
        f"if they are one person, remove the row that is out of date; if not, give each an {value} of their own"
        if value == "email"
        else f"if they are one person, remove the row that is out of date; if not, give each a {value} of their own"
    ).alias("hint")


def _told_apart(desired: Desired, live: pl.DataFrame) -> Desired:
    """Rows set aside for one username, of which one is somebody's who is there already and one is new."""
    shared = pl.col("code") == "duplicate-username"
    rows = desired.quarantine.filter(shared)
    if not rows.height:
        return desired
    folded = rows.with_columns(
        pl.col("username").str.to_lowercase().alias("folded"),
        pl.col("key").alias("sourced_id"),
        pl.col("username").alias("roster_username"),
    )
    known = live["sourced_id"].drop_nulls()
    lines = _with_lines(folded, "folded", known).with_columns(folded["folded"])
    torn = lines.filter(pl.col("bound").any().over("folded") & ~pl.col("bound").all().over("folded"))
    kept = desired.quarantine.filter(~shared | ~pl.col("key").is_in(torn["sourced_id"].implode()))
    return replace(desired, quarantine=pl.concat([kept, _aside(torn, "username")]))


def _shared(rows: pl.DataFrame, match_with: str) -> Iterator[Diagnostic]:
    """Several people with one address: each keeps an account, and nobody is found by it."""
    if not rows.height:
        return
    if match_with != "email":
        yield warning(
            SHARED,
            f"{rows.height:,} people share an email with another one (lines {rows.sort('line')['lines'][0]} and others)"
            if rows["lines"].n_unique() > 1
            else f"{rows.height:,} people share an email: lines {rows['lines'][0]}",
            Span("users.csv", int(rows["line"].sort()[0])),
            "each keeps an account; nobody can sign in with an email that is not theirs alone",
        )
        return
    groups = rows.sort("line").unique("lines", keep="first", maintain_order=True)
    for line, lines in groups.head(MOST_VALUES).select("line", "lines").iter_rows():
        yield error(
            SHARED,
            f"lines {lines} have the same email",
            Span("users.csv", line),
            "each keeps an account; nobody is matched by this email and nobody can sign in with it",
        )
    if groups.height > MOST_VALUES:
        yield info(SHARED, f"and {groups.height - MOST_VALUES:,} more emails that several people have")
