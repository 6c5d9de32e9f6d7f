"""Decides when a fetch may ask only for changes, and whether they explain the server's present totals.

A delta saves time and proves nothing about records that it does not name: its bundle deletes only records marked
`tobedeleted` (`oneroster.delta`). Records that a server drops silently show only in its totals, if at all. So the full
roster is fetched at least once a week, and whenever the totals and the changes do not match.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from reconciler.model.ids import Moment
from reconciler.oneroster.snapshot import DELETED_STATUSES
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.records.envelope import ROLE_MARK, Frames
from reconciler.oneroster.sources.interface import FetchRequest

#: The full roster is fetched at least this often.
MAX_FULL_AGE = timedelta(days=7)
#: The same, if the server gives no totals to compare changes with.
MAX_FULL_AGE_WITHOUT_TOTALS = timedelta(days=3)
#: Clocks differ, zones are left out, and some servers compare whole days.
MARGIN = timedelta(days=1)
#: Role numbers up to this one that a changed person does not have now are marked as deleted (1.2).
MOST_ROLES = 16


@dataclass(frozen=True, slots=True)
class DeltaWindow:
    """The period whose changes a fetch asks for."""

    #: start of the period, ISO-8601 UTC
    moment: Moment
    allows_missing_totals: bool

    @property
    def filter(self) -> str:
        return f"dateLastModified>='{self.moment}'"


def choose_delta_window(account: ApiAccount, request: FetchRequest) -> DeltaWindow | None:
    """Return the period whose changes to fetch, or None if the full roster must be fetched."""
    if request.require_full or not account.delta:
        return None
    now, whole_at, since = (
        _parse_time(each) for each in (request.fetched_at, request.earlier.whole_at, request.earlier.since)
    )
    if now is None or whole_at is None or since is None or since > now or not request.earlier.rows:
        return None
    age = now - whole_at
    if not timedelta() <= age < MAX_FULL_AGE:
        return None
    return DeltaWindow(Moment(f"{since - MARGIN:%Y-%m-%dT%H:%M:%S}.000Z"), age < MAX_FULL_AGE_WITHOUT_TOTALS)


def filter_changed_rows(frames: Frames, window: DeltaWindow) -> dict[str, pl.DataFrame]:
    """Apply the filter to the rows, in case the server ignores it. A row with an unreadable time counts as changed."""
    when = pl.col("dateLastModified")
    readable = when.str.contains(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}").fill_null(False)
    recent = ~readable | (when.str.head(19) >= window.moment[:19])
    return {stem: frame.filter(recent) for stem, frame in frames.items()}


def add_lost_roles(frames: Frames) -> dict[str, pl.DataFrame]:
    """Add rows that delete the roles which a changed person no longer has: in 1.2, roles have no records of their own.

    frames: of one page of users.
    """
    roles = frames["roles"]
    numbers = pl.int_ranges(pl.len() + 1, MOST_ROLES + 1)
    first = roles.group_by("userSourcedId", maintain_order=True).agg(
        pl.exclude("sourcedId").first(), numbers.alias("n")
    )
    lost = (
        first.filter(pl.col("n").list.len() > 0)
        .explode("n")
        .select(
            (pl.col("userSourcedId") + ROLE_MARK + pl.col("n").cast(pl.String)).alias("sourcedId"),
            pl.lit("tobedeleted").alias("status"),
            pl.exclude("sourcedId", "status", "n"),
        )
    )
    return {**frames, "roles": pl.concat([roles, lost.select(roles.columns)])}


@dataclass(slots=True)
class ChangeCounts:
    """Rows of one collection that changed."""

    active: int = 0
    deleted: int = 0

    def add_rows(self, rows: pl.DataFrame) -> None:
        gone = int(rows["status"].str.to_lowercase().is_in(DELETED_STATUSES).sum())
        self.deleted += gone
        self.active += rows.height - gone

    def can_explain(self, earlier: int, now: int) -> bool:
        """Return whether these changes alone can explain the change in a collection's row count."""
        return earlier - self.deleted <= now <= earlier + self.active


@dataclass(frozen=True, slots=True)
class PresentRows:
    """The rows of one collection on the server now, unfiltered."""

    #: None if the server gives no total
    total: int | None
    #: the key sees at least one row
    visible: bool


def explain_full_fetch(
    changes: Mapping[str, ChangeCounts],
    earlier: Mapping[str, int],
    present: Mapping[str, PresentRows],
    window: DeltaWindow,
) -> str | None:
    """Return why the full roster must be fetched after all, or None if the changes are enough.

    A key that no longer sees anything has no changes either, so no changes are enough only where rows are visible.
    """
    for name, each in changes.items():
        before, now = earlier.get(name), present[name].total
        if before and not present[name].visible:
            return f"{name} had {before:,} rows, and the key sees none of them now"
        if before is None or now is None:
            if not window.allows_missing_totals:
                return (
                    f"the server gives no total of {name}, and the last full roster is older than "
                    f"{MAX_FULL_AGE_WITHOUT_TOTALS.days} days"
                )
        elif not each.can_explain(before, now):
            changed = each.active + each.deleted
            return f"{name} had {before:,} rows and has {now:,} now; {changed:,} changes do not explain that"
    return None


def _parse_time(text: str | None) -> datetime | None:
    """Return the time, in UTC if it has no zone; None if it cannot be read."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
