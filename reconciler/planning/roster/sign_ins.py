"""Protects sign-ins: a roster never suspends an administrator or an account that it does not manage.

`enabledUser` is about a person at the source, not about an account that the person or the configuration created.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager, AccountStatus
from reconciler.planning.frames.fingerprint import compute_fingerprint
from reconciler.planning.frames.live import has_any_role

#: Managers that keep an account when a roster row binds to it; an account of an LMS launch becomes the roster's.
OTHER_MANAGERS = (AccountManager.JOIN_LINK.value, AccountManager.PORTAL.value, AccountManager.CONFIG.value)
_STAYING_ACTIONS = (Action.UPDATE.value, Action.REKEY.value, Action.ADOPT.value)


@dataclass(frozen=True, slots=True)
class SignInResult:
    """The matched people with the status that each account may have."""

    users: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def preserve_sign_ins(users: pl.DataFrame, live: pl.DataFrame) -> SignInResult:
    """Return the rows of `match_users` with the account's status where the roster may not change it.

    A disabled administrator keeps the account's status, but a suspended one may be reactivated. An account of another
    manager is neither suspended nor reactivated. `live` has the accounts, tombstones included.
    """
    others = live.filter(pl.col("managed_by").is_in(OTHER_MANAGERS))["id"]
    disabled = pl.col("status") == AccountStatus.SUSPENDED.value
    foreign = pl.col("id").is_in(others.implode())
    spared = (
        users.filter(pl.col("match").is_in(_STAYING_ACTIONS) & (disabled | foreign))
        .filter(foreign | has_any_role(ADMINISTRATOR_ROLES))
        .select("sourced_id", "id", "line", "status", foreign.alias("foreign"))
        .join(live.select("id", pl.col("status").alias("now")), on="id", how="inner")
        .filter(pl.col("status").ne_missing(pl.col("now")))
    )
    if not spared.height:
        return SignInResult(users, ())
    kept = (
        users.join(spared.select("sourced_id", "now"), on="sourced_id", how="inner", maintain_order="left")
        .with_columns(pl.col("now").alias("status"))
        .drop("now")
        .with_columns(compute_fingerprint(Kind.USER))
        .select(users.columns)
    )
    place = users.select("sourced_id").with_row_index("place")
    whole = pl.concat([users.join(kept, on="sourced_id", how="anti"), kept]).join(place, on="sourced_id").sort("place")
    return SignInResult(whole.drop("place"), tuple(_build_diagnostics(spared)))


def _build_diagnostics(spared: pl.DataFrame) -> Iterator[Diagnostic]:
    administrators = spared.filter(~pl.col("foreign"))
    if administrators.height:
        yield build_warning(
            "administrator-kept",
            f"the roster disables {administrators.height:,} administrators; a roster never suspends an administrator",
            Span("users.csv", int(administrators["line"].sort()[0])),
            "Give them another role in the roster first, or suspend them manually.",
        )
    others = spared.filter("foreign")
    if others.height:
        yield build_info(
            "unmanaged-kept",
            f"enabledUser of {others.height:,} people differs from the status of their accounts, which the roster does "
            "not manage; they stay unchanged",
            Span("users.csv", int(others["line"].sort()[0])),
        )
