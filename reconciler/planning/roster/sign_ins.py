"""Whose sign-in a roster may take away: nobody's who administers, and nobody's whom it does not manage.

`enabledUser` is a word of the source about a person, and not one about an account that the person or the configuration
made. What becomes of people who are absent is told in `absence`.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, build_info, build_warning
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTRATOR_ROLES
from reconciler.model.roster import AccountManager, AccountStatus
from reconciler.planning.frames.fingerprint import compute_fingerprint

#: A roster row that binds to one of these leaves it to whoever made it; a launch's becomes the roster's.
OTHER_MANAGERS = (AccountManager.JOIN_LINK.value, AccountManager.PORTAL.value, AccountManager.CONFIG.value)
_STAYING_ACTIONS = (Action.UPDATE.value, Action.REKEY.value, Action.ADOPT.value)
_ADMINISTERS_PATTERN = f"=({'|'.join(role.value for role in sorted(ADMINISTRATOR_ROLES))})(\n|$)"


@dataclass(frozen=True, slots=True)
class SignInResult:
    """users: the matched rows, with the status that they keep where a roster has no say in it."""

    users: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def preserve_sign_ins(users: pl.DataFrame, live: pl.DataFrame) -> SignInResult:
    """users: as `match_users` gives them, by sourcedId. live: accounts, tombstones included.

    An administrator who is not enabled stays as the account is; one who was suspended may be resumed. An account that
    somebody else manages is neither suspended nor resumed.
    """
    others = live.filter(pl.col("managed_by").is_in(OTHER_MANAGERS))["id"]
    disabled = pl.col("status") == AccountStatus.SUSPENDED.value
    administers = pl.col("roles").str.contains(_ADMINISTERS_PATTERN) | pl.col("role").is_in(
        [role.value for role in sorted(ADMINISTRATOR_ROLES)]
    )
    foreign = pl.col("id").is_in(others.implode())
    asked = (
        users.filter(pl.col("match").is_in(_STAYING_ACTIONS) & (disabled | foreign))
        .select("sourced_id", "id", "line", "status", foreign.alias("foreign"), administers.alias("administers"))
        .filter(pl.col("foreign") | pl.col("administers").fill_null(False))
        .join(live.select("id", pl.col("status").alias("now")), on="id", how="inner")
        .filter(pl.col("status").ne_missing(pl.col("now")))
    )
    if not asked.height:
        return SignInResult(users, ())
    kept = (
        users.join(asked.select("sourced_id", "now"), on="sourced_id", how="inner", maintain_order="left")
        .with_columns(pl.col("now").alias("status"))
        .drop("now")
        .with_columns(compute_fingerprint(Kind.USER))
        .select(users.columns)
    )
    place = users.select("sourced_id").with_row_index("place")
    whole = pl.concat([users.join(kept, on="sourced_id", how="anti"), kept]).join(place, on="sourced_id").sort("place")
    return SignInResult(whole.drop("place"), tuple(_build_diagnostics(asked)))


def _build_diagnostics(asked: pl.DataFrame) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    administrators = asked.filter(~pl.col("foreign"))
    if administrators.height:
        found.append(
            build_warning(
                "administrator-kept",
                f"{administrators.height:,} administrators are not enabled in the roster; a roster never suspends an "
                "administrator",
                Span("users.csv", int(administrators["line"].sort()[0])),
                "give them another role in the roster first, or take their sign-in away by hand",
            )
        )
    others = asked.filter("foreign")
    if others.height:
        found.append(
            build_info(
                "unmanaged-kept",
                f"{others.height:,} people have another enabledUser in the roster than their accounts, which it does "
                "not manage; they stay as they are",
                Span("users.csv", int(others["line"].sort()[0])),
            )
        )
    return found
