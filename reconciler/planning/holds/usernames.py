"""Settles clashes of usernames, because two people of a customer cannot have the same one.

A person who wants the username of a held deletion is held too. A row that wants the username of an account that stays
is quarantined.
"""

from dataclasses import replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.text_form import make_caseless_column
from reconciler.planning.holds.dependents import hold_dependent_enrollments, keep_last_of_role
from reconciler.planning.holds.state import HoldState
from reconciler.planning.roster.quarantine import build_quarantine_rows

#: Stands for an administrator of the configuration who has no account yet.
NO_HOLDER_YET = -1


def settle_usernames(state: HoldState) -> HoldState:
    """Hold or quarantine rows whose username another account has, until nobody clashes; these people keep their former
    usernames."""
    changes, quarantine = dict(state.changes), [state.quarantine]
    while True:
        clashes = _find_clashes(changes[Kind.USER], state.inputs.users, state.inputs.reserved_usernames)
        if not clashes.height:
            return replace(state, changes=changes, quarantine=pl.concat(quarantine))
        held_ids = changes[Kind.USER].filter("held")["live_id"].drop_nulls()
        waits = pl.col("holder").is_in(held_ids.implode())
        refused = clashes.filter(~waits)
        # A row that clashes with a held account and with one that stays is refused: approval would not be enough.
        waiting = clashes.filter(waits).join(refused, on="key", how="anti")
        changes[Kind.USER] = _hold_or_drop_rows(changes[Kind.USER], pl.col("key"), waiting, refused, _is_taking())
        changes[Kind.ENROLLMENT] = _hold_or_drop_rows(
            changes[Kind.ENROLLMENT],
            pl.col("user"),
            waiting.filter(_is_binding()),
            refused.filter(_is_binding()),
            _is_taking(),
        )
        quarantine.append(_quarantine_refused(refused))


def hold_last_of_role_again(state: HoldState) -> HoldState:
    """Hold the losses of a role, and their enrollments, once more where a refused row would have filled the role."""
    return hold_dependent_enrollments(keep_last_of_role(state)) if state.quarantine.height else state


def _find_clashes(users: pl.DataFrame, live: pl.DataFrame, reserved: frozenset[str]) -> pl.DataFrame:
    """Return unheld rows that take a username which `holder` still has after this plan."""
    renamed = pl.col("username").ne_missing(pl.col("before_username"))
    arriving = pl.col("action").is_in([Action.CREATE.value, Action.RESTORE.value])
    # In a store of an earlier version, two accounts may have usernames that look the same.
    is_odd = pl.col("username").str.len_bytes() != pl.col("username").str.len_chars()
    takers = users.filter(
        _is_taking() & ~pl.col("held") & pl.col("username").is_not_null() & (renamed | arriving | is_odd)
    )
    takers = takers.with_columns(make_caseless_column(takers["username"]).alias("folded"))
    if not takers.height or not (live.height or reserved):
        return takers.clear().with_columns(pl.lit(None, dtype=pl.Int64).alias("holder"))
    giving_up = users.filter(~pl.col("held") & (~_is_taking() | renamed))["live_id"].drop_nulls()
    named = live.filter(~pl.col("tombstoned") & pl.col("username").is_not_null())
    holders = named.select(pl.col("id").alias("holder"), make_caseless_column(named["username"]).alias("folded"))
    staying = holders.filter(~pl.col("holder").is_in(giving_up.implode()))
    promised = pl.DataFrame(
        {"holder": [NO_HOLDER_YET] * len(reserved), "folded": sorted(reserved)},
        schema={"holder": pl.Int64, "folded": pl.String},
    ).join(holders, on="folded", how="anti")
    return takers.join(pl.concat([staying, promised]), on="folded", how="inner").filter(
        pl.col("holder").ne_missing(pl.col("live_id"))
    )


def _hold_or_drop_rows(
    frame: pl.DataFrame, key: pl.Expr, waiting: pl.DataFrame, refused: pl.DataFrame, taking: pl.Expr
) -> pl.DataFrame:
    def of(clashes: pl.DataFrame) -> pl.Expr:
        return taking & key.is_in(clashes["key"].implode()).fill_null(False)

    return frame.with_columns((pl.col("held") | of(waiting)).alias("held")).filter(~of(refused))


def _is_binding() -> pl.Expr:
    """Select rows whose sourcedId no account had before: enrollments that name it depend on them."""
    bound = [Action.UPDATE.value, Action.SUSPEND.value, Action.RESUME.value]
    return ~pl.col("action").is_in(bound)


def _is_taking() -> pl.Expr:
    return pl.col("action") != Action.DELETE.value


def _quarantine_refused(refused: pl.DataFrame) -> pl.DataFrame:
    return build_quarantine_rows(
        Kind.USER,
        refused.unique("key", keep="first", maintain_order=True),
        "key",
        "username-taken",
        pl.lit("this username belongs to an account that stays"),
        "Give one of the two another username, or set a suffix for the roster's usernames.",
    )
