"""Who is who: which account a row of users.csv speaks of.

A bound sourcedId always wins. `match_with` is tried only for rows whose sourcedId is bound to nobody, by exact,
non-empty value that is unique on both sides, against accounts whose own sourcedId this file does not have.
An address or a name can pass to somebody else, so only an identifier brings a deleted account back.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, warning
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTERING
from reconciler.model.roster import Manager
from reconciler.planning.fingerprint import fingerprint
from reconciler.planning.persons import with_joined_aliases

#: what `match_with` compares; `sourced_id` never rekeys
MATCHED_COLUMNS = {"identifier": "identifier", "email": "email", "username": "roster_username"}


@dataclass(frozen=True, slots=True)
class Matched:
    """users: the desired rows with `id` (null: nobody yet), `match` (an Action: update for a bound row, restore,
    rekey, adopt or create) and `former_key` (the sourcedId a rekeyed account had)."""

    users: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def match_users(desired: pl.DataFrame, live: pl.DataFrame, match_with: str, present: pl.Series) -> Matched:
    """present: every sourcedId that this file names, rows set aside and rows to be deleted included."""
    bound = desired.join(
        live.filter(pl.col("sourced_id").is_not_null()).select("sourced_id", "id", "tombstoned"),
        on="sourced_id",
        how="left",
        maintain_order="left",
    )
    column = MATCHED_COLUMNS.get(match_with)
    strangers = bound.filter(pl.col("id").is_null()) if column else bound.clear()
    if column is None or not strangers.height or not live.height:
        users = bound.with_columns(_bound_action(), pl.lit(None, dtype=pl.String).alias("former_key"))
        return Matched(users.drop("tombstoned"), ())
    pairs, ambiguous = _pairs(desired, live, strangers, column, present)
    users = (
        bound.join(pairs, on="sourced_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("id").is_not_null())
            .then(_bound_action())
            .when(pl.col("pair_id").is_null())
            .then(pl.lit(Action.CREATE.value))
            .when(pl.col("pair_tombstoned"))
            .then(pl.lit(Action.RESTORE.value))
            .when(pl.col("pair_key").is_null())
            .then(pl.lit(Action.ADOPT.value))
            .otherwise(pl.lit(Action.REKEY.value))
            .alias("match"),
            pl.coalesce("id", "pair_id").alias("id"),
            pl.col("pair_key").alias("former_key"),
        )
        .drop("tombstoned", "pair_id", "pair_key", "pair_tombstoned")
    )
    return Matched(_with_aliases(users, live), _ambiguity(ambiguous, match_with))


def _with_aliases(users: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """`users`; whoever is found under another sourcedId keeps the aliases of the account."""
    found = users.filter(pl.col("id").is_not_null() & (pl.col("match") != Action.UPDATE.value)).select("id")
    theirs = live.filter(pl.col("aliases").is_not_null()).select("id", pl.col("aliases").alias("known"))
    theirs = theirs.join(found, on="id", how="semi")
    if not theirs.height:
        return users
    every = users.join(theirs, on="id", how="left", maintain_order="left").pipe(with_joined_aliases, "known")
    return every.with_columns(fingerprint(Kind.USER)).drop("known")


def _bound_action() -> pl.Expr:
    return (
        pl.when(pl.col("id").is_null())
        .then(pl.lit(Action.CREATE.value))
        .when(pl.col("tombstoned"))
        .then(pl.lit(Action.RESTORE.value))
        .otherwise(pl.lit(Action.UPDATE.value))
        .alias("match")
    )


def _pairs(
    desired: pl.DataFrame, live: pl.DataFrame, strangers: pl.DataFrame, column: str, present: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(`sourced_id`, `pair_id`, `pair_key`, `pair_tombstoned`) of proven pairs; strangers that match ambiguously."""
    known = live.with_columns(account_value(column).alias("value")).filter(pl.col("value").is_not_null())
    alive = known.filter(~pl.col("tombstoned"))
    # A deleted account counts only where no live one has the value.
    buried = known.filter(pl.col("tombstoned") & ~pl.col("value").is_in(alive["value"].implode()))
    accounts = pl.concat([alive, buried]) if column == "identifier" else alive
    once_live = accounts.filter(~pl.col("value").is_duplicated())
    absent = once_live.filter(
        pl.when(pl.col("sourced_id").is_null())
        .then(_adoptable(column))
        .otherwise(~pl.col("sourced_id").is_in(present.implode()))
    )
    once_desired = desired.filter(pl.col(column).is_not_null() & ~pl.col(column).is_duplicated())
    wanted = strangers.filter(pl.col(column).is_not_null()).select("sourced_id", "line", pl.col(column).alias("value"))
    pairs = wanted.join(once_desired.select("sourced_id"), on="sourced_id", how="semi").join(
        absent.select(
            "value",
            pl.col("id").alias("pair_id"),
            pl.col("sourced_id").alias("pair_key"),
            pl.col("tombstoned").alias("pair_tombstoned"),
        ),
        on="value",
        how="inner",
    )
    claimed = wanted.join(pairs, on="sourced_id", how="anti").join(accounts, on="value", how="semi")
    return pairs.drop("value", "line"), claimed


def account_value(column: str) -> pl.Expr:
    """What a live account is matched by; one that no roster made has its username only as people type it."""
    return pl.coalesce(column, "username") if column == "roster_username" else pl.col(column)


def _adoptable(column: str) -> pl.Expr:
    """Whether a roster row may bind to an account that something else made. Configuration's administrators never; and
    an address or name that an LMS asserted proves nothing."""
    unproven = pl.col("managed_by") == Manager.LTI.value
    administers = pl.col("role").is_in([role.value for role in sorted(ADMINISTERING)]).fill_null(False)
    reserved = (pl.col("managed_by") == Manager.CONFIG.value) | administers
    return ~reserved & (pl.lit(column == "identifier") | ~unproven)


def _ambiguity(ambiguous: pl.DataFrame, match_with: str) -> tuple[Diagnostic, ...]:
    if not ambiguous.height:
        return ()
    line = int(ambiguous["line"].min() or 0)  # type: ignore[arg-type]
    return (
        warning(
            "ambiguous-match",
            f"{ambiguous.height:,} new rows have the {match_with} of an account that is somebody else's or not the "
            "only one with it; they get accounts of their own",
            Span("users.csv", line),
            f"match_with: {match_with} binds a row only where the value is unique in the file and among the accounts",
        ),
    )
