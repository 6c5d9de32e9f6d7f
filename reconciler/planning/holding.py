"""What is kept back until a person approves: what exceeds a limit, and everything that depends on it.

Pure frames in, pure frames out; the id of a hold names exactly the set it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.change import Action, Change, Delete
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import Hold, LimitUse
from reconciler.planning.difference import no_changes

TAKING = (Action.DELETE.value, Action.SUSPEND.value)


def hold_rows(
    changes: Mapping[Kind, pl.DataFrame],
    limits: Iterable[LimitUse],
    roles: pl.DataFrame,
    unidentified: frozenset[Kind],
) -> dict[Kind, pl.DataFrame]:
    """`changes` with `held` set. roles: `account_id`, `org` of live people."""
    exceeded = [limit for limit in limits if limit.exceeded]
    frames = {kind: changes.get(kind, no_changes(kind)) for kind in ROSTER_KINDS}
    for kind in ROSTER_KINDS:
        wholly = kind in unidentified or any(limit.kind is kind and limit.scope == "customer" for limit in exceeded)
        if wholly:
            frames[kind] = _held_where(frames[kind], leaving(kind))
    schools = [limit.scope.removeprefix("org:") for limit in exceeded if limit.scope.startswith("org:")]
    if schools:
        theirs = roles.filter(pl.col("org").is_in(schools))["account_id"].unique()
        frames[Kind.USER] = _held_where(
            frames[Kind.USER], leaving(Kind.USER) & pl.col("live_id").is_in(theirs.implode())
        )
    return _with_dependents(frames, roles)


def leaving(kind: Kind) -> pl.Expr:
    """Rows that a limit counts: deletions, and suspensions because somebody is absent (line 0)."""
    deleted = pl.col("action") == Action.DELETE.value
    if kind is not Kind.USER:
        return deleted
    return deleted | ((pl.col("action") == Action.SUSPEND.value) & (pl.col("line") == 0))


def _with_dependents(frames: dict[Kind, pl.DataFrame], roles: pl.DataFrame) -> dict[Kind, pl.DataFrame]:
    """A person kept back keeps their enrollments, a class too; an org stays while anything of it does."""
    users, classes, enrollments, orgs = (frames[kind] for kind in (Kind.USER, Kind.CLASS, Kind.ENROLLMENT, Kind.ORG))
    held_users = users.filter("held")
    held_classes = classes.filter("held")
    result = dict(frames)
    if held_users.height or held_classes.height:
        result[Kind.ENROLLMENT] = _held_where(
            enrollments,
            pl.col("before_user").is_in(held_users["key"].implode())
            | pl.col("before_class").is_in(held_classes["key"].implode())
            | pl.col("user").is_in(held_users["key"].implode())
            | pl.col("class").is_in(held_classes["key"].implode()),
        )
    kept = pl.concat(
        [
            roles.filter(pl.col("account_id").is_in(held_users["live_id"].implode()))["org"],
            held_classes["before_school"].alias("org"),
            orgs.filter("held")["key"].alias("org"),
        ]
    ).drop_nulls()
    while kept.len() and orgs.height:
        orgs = _held_where(orgs, leaving(Kind.ORG) & pl.col("key").is_in(kept.implode()))
        parents = orgs.filter("held")["before_parent"].drop_nulls()
        above = parents.filter(~parents.is_in(kept.implode()))
        kept = above if not above.len() else pl.concat([kept, above]).unique()
    result[Kind.ORG] = orgs
    return result


def _held_where(frame: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    return frame.with_columns((pl.col("held") | condition.fill_null(False)).alias("held"))


def hold_declared(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Removing a customer or a community from git always waits for a person."""
    return tuple(
        replace(change, held=True)
        if isinstance(change, Delete) and change.kind in (Kind.CUSTOMER, Kind.COMMUNITY)
        else change
        for change in changes
    )


def hold(
    customer: str,
    declared: Iterable[Change],
    frames: Mapping[Kind, pl.DataFrame],
    causes: Iterable[str],
) -> Hold | None:
    """None where nothing is held. People are held user rows, and those of a customer that is to go."""
    digest = hashlib.sha256()
    rows = 0
    people = 0
    for change in sorted(
        (change for change in declared if change.held),
        key=lambda change: (DECLARED_KINDS.index(change.kind), change.key),
    ):
        rows += 1
        if change.kind is Kind.CUSTOMER:
            people += int(str(change.impact.get("people", 0)))
        digest.update(f"{type(change).__name__}\x1f{change.kind}\x1f{change.key}\x1e".encode())
    for kind in ROSTER_KINDS:
        held = frames.get(kind, no_changes(kind)).filter("held")
        if not held.height:
            continue
        rows += held.height
        people += held.height if kind is Kind.USER else 0
        lines = held.select(
            pl.concat_str("action", "reason", "key", pl.col("former_key").fill_null(""), separator="\x1f").alias("row")
        )["row"].sort()
        digest.update(f"{kind}\x1d".encode())
        digest.update("\x1e".join(lines.to_list()).encode())
    if not rows:
        return None
    return Hold(f"{customer}:{people}:{digest.hexdigest()[:6]}", people, rows, tuple(causes))
