"""Accounts that a roster row adopted and that are not the roster's: what becomes of one when its row leaves.

Whoever made the account keeps it as it is. The roster takes back what was its own: the sourcedId, the roles in its orgs
and, as deletions of theirs, the enrollments. A row that comes back adopts it again.
"""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.role import ADMINISTERING
from reconciler.planning.difference import disappearing
from reconciler.planning.ladder import OTHERS

_ROLES = [role.value for role in sorted(ADMINISTERING)]


def adopted_accounts(gone: pl.DataFrame, protect: frozenset[str]) -> pl.DataFrame:
    """Of absent people with `roles`, those whose accounts somebody else manages; never who administers, never who is
    protected."""
    administers = pl.col("role").is_in(_ROLES) | pl.col("roles").str.contains(f"=({'|'.join(_ROLES)})(\n|$)")
    return gone.filter(
        pl.col("managed_by").is_in(OTHERS)
        & ~administers.fill_null(False)
        & ~pl.col("sourced_id").is_in(sorted(protect))
    )


def unbinding(adopted: pl.DataFrame) -> pl.DataFrame:
    """Changes that leave these accounts without the roster. adopted: with `reason` and `line`; the key stays the
    sourcedId that the account had."""
    nothing = pl.lit(None, dtype=pl.String)
    return disappearing(Kind.USER, adopted, Action.UPDATE).with_columns(
        nothing.alias("roles"), nothing.alias("aliases"), pl.lit(False).alias("bound")
    )
