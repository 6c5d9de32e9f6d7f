"""Everything that what a sync comes to depends on, as one digest: where it is what it was at the last clean sync, the
same roster would change nothing, and nothing is read or compared.

Drift is still seen: a write of another hand moves the customer's write counter, and every apply or undo its last run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta

import orjson
import polars as pl

import reconciler
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.settings import Policy

#: However quiet it is, everything is compared once in a while.
LONGEST = timedelta(days=30)


def settled(sha256: str, settings: str | None, version: tuple[int, int], erased: int, policy: Policy) -> str | None:
    """None where another hand changed the configuration. sha256: of the bundle. settings: digest of the configuration
    as applied. version: the customer's (`CustomerRecord.version`) after the sync. erased: the newest
    certificate by which somebody is kept out, or let in again."""
    if settings is None:
        return None
    told = [sha256, settings, version, erased, policy.model_dump(mode="json"), reconciler.__version__]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def settled_until(rostering: OneRosterRostering, sessions: pl.DataFrame | None, today: str) -> str:
    """The last day (YYYY-MM-DD, where the customer is) on which the same roster means the same: then a season begins or
    ends, an allowance or approval is over, or a term."""
    day = date.fromisoformat(today)
    return min([day + LONGEST, *(each for each in _turns(rostering, sessions) if each >= day)]).isoformat()


def _turns(rostering: OneRosterRostering, sessions: pl.DataFrame | None) -> Iterator[date]:
    """Days after which something is otherwise."""
    for season in rostering.calendar:
        yield season.from_ - timedelta(days=1)
        yield season.to
    for allowance in rostering.allow:
        yield allowance.until
    for approval in rostering.approvals:
        yield approval.until
    if sessions is not None:
        ends = sessions["end"].str.to_date("%Y-%m-%d", strict=False).drop_nulls().unique()
        # A session's end is the first day after it.
        for end in ends.to_list():
            yield end - timedelta(days=1)
