"""Reads academicSessions.csv: the dates of terms. An unreadable session never ends a class."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import Moment
from reconciler.oneroster.csv_file.quarantine import make_rows_warning
from reconciler.oneroster.csv_file.sheet import Sheet
from reconciler.oneroster.roster.references import refuse_cycles
from reconciler.oneroster.snapshot import DELETED_STATUSES, SESSIONS_SCHEMA
from reconciler.oneroster.standard.tables import MODIFIED
from reconciler.oneroster.standard.values import read_date

UNUSED = "the row is not used, and classes of this session count as not ended"


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one file."""

    #: Good rows (SESSIONS_SCHEMA).
    frame: pl.DataFrame
    #: sourcedIds of all rows, bad and deleted ones included.
    keys: pl.Series
    diagnostics: tuple[Diagnostic, ...] = ()


def create_empty_sessions() -> Sessions:
    return Sessions(pl.DataFrame(schema=SESSIONS_SCHEMA), pl.Series("sourced_id", [], dtype=pl.String))


def read_sessions(sheet: Sheet) -> Sessions:
    """Read the sessions of a sheet. Raises Refusal if they form a cycle."""
    diagnostics = list(sheet.diagnostics)
    rows = sheet.frame.unique(pl.exclude("line"), keep="first", maintain_order=True)
    rows = rows.with_columns(read_date(rows["start"]).values, read_date(rows["end"]).values)
    keys = rows["sourced_id"].drop_nulls().unique(maintain_order=True)
    deleted = pl.col("status").str.to_lowercase().is_in(DELETED_STATUSES).fill_null(False)
    rows = rows.filter(~deleted)
    dated = (pl.col("start") < pl.col("end")).fill_null(False)
    undated = rows.filter(~dated)
    if undated.height:
        message = f"startDate and endDate must be dates, startDate first: {UNUSED}"
        diagnostics.append(make_rows_warning(sheet.table.file, undated, "invalid-session-dates", message))
    rows = rows.filter(dated)
    unclear = pl.col("sourced_id").is_null() | pl.col("sourced_id").is_duplicated()
    duplicates = rows.filter(unclear)
    if duplicates.height:
        message = f"sourcedId is empty or has conflicting rows: {UNUSED}"
        diagnostics.append(make_rows_warning(sheet.table.file, duplicates, "duplicate-session", message))
    frame = rows.filter(~unclear).select(list(SESSIONS_SCHEMA))
    _refuse_session_cycles(frame)
    return Sessions(frame, keys, tuple(diagnostics))


def merge_sessions(earlier: pl.DataFrame, update: Sessions) -> pl.DataFrame:
    """Replace earlier sessions by those of a delta; drop those that the delta deletes or has no good row of.

    Raises Refusal as `read_sessions` does."""
    frame = pl.concat([earlier.filter(~pl.col("sourced_id").is_in(update.keys.implode())), update.frame])
    _refuse_session_cycles(frame)
    return frame


def _refuse_session_cycles(sessions: pl.DataFrame) -> None:
    refuse_cycles(sessions, "academicSessions.csv", "session-cycle", "sessions")


# dateLastModified only hints at a file's age; no change depends on it.

#: How far in the future a time may be: clocks and time zones differ by less.
MOST_AHEAD = timedelta(days=1)
WITHOUT_ZONE = r"(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?$"


@dataclass(frozen=True, slots=True)
class ModificationTime:
    """The age of a file."""

    #: The latest believable dateLastModified, as written; None if there is none.
    newest: str | None
    diagnostics: tuple[Diagnostic, ...]


def check_modified_times(sheet: Sheet, fetched_at: Moment) -> ModificationTime:
    """Return the newest dateLastModified, and warnings; `fetched_at` is ISO-8601 UTC."""
    written = sheet.side_values.get(MODIFIED)
    if written is None or written.null_count() == written.len():
        return ModificationTime(None, tuple(_check_missing_times(sheet, sheet.frame)) if sheet.delta else ())
    rows = sheet.frame.select("line").with_columns(written.str.strip_chars().replace("", None).alias("written"))
    rows = rows.with_columns(_parse_times(rows["written"]).alias("time"))
    latest = _compute_latest_time(fetched_at)
    believable = (pl.col("time") <= latest).fill_null(False) if latest else pl.col("time").is_not_null()
    doubtful = rows.filter(pl.col("written").is_not_null() & ~believable)
    diagnostics = list(_check_missing_times(sheet, rows.filter(pl.col("written").is_null()))) if sheet.delta else []
    if doubtful.height:
        message = f"{MODIFIED} is in the future or unreadable, and is ignored"
        diagnostics.append(make_rows_warning(sheet.table.file, doubtful, "doubtful-modified-time", message))
    good = rows.filter(believable)
    return ModificationTime(good.sort("time")["written"][-1] if good.height else None, tuple(diagnostics))


def find_newest_time(times: Iterable[str | None]) -> str | None:
    """Return the latest time as written, or None if there is none."""
    written = pl.Series([time for time in times if time is not None], dtype=pl.String)
    if not written.len():
        return None
    latest = _parse_times(written).arg_max()
    return written[0 if latest is None else latest]  # type: ignore[no-any-return]


def _check_missing_times(sheet: Sheet, rows: pl.DataFrame) -> Iterator[Diagnostic]:
    if rows.height:
        message = f"{MODIFIED} is empty, but a delta row must have it"
        yield make_rows_warning(sheet.table.file, rows, "missing-modified-time", message)


def _parse_times(raw_times: pl.Series) -> pl.Series:
    """Parse times to the second without their zone: for a hint, a few hours do not matter."""
    bare = raw_times.str.replace(" ", "T", literal=True).str.replace(WITHOUT_ZONE, "")
    whole = bare.to_frame("bare").select(
        pl.when(pl.col("bare").str.len_bytes() == 10).then(pl.col("bare") + "T00:00:00").otherwise("bare")
    )
    return whole.to_series().str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)


def _compute_latest_time(fetched_at: Moment) -> datetime | None:
    try:
        return datetime.fromisoformat(fetched_at).replace(tzinfo=None) + MOST_AHEAD
    except ValueError:
        return None
