"""academicSessions.csv: on which days terms begin and end. What of it cannot be read ends nothing."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic
from reconciler.oneroster.references import refuse_cycles
from reconciler.oneroster.remark import remark
from reconciler.oneroster.sheet import Sheet
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA
from reconciler.oneroster.values import read_date

UNUSED = "the row is not used, and a class of this session counts as not ended"


@dataclass(frozen=True, slots=True)
class Sessions:
    """frame: SESSIONS_SCHEMA, good rows only. keys: sourcedIds of every row, those included that are not in `frame`
    because they are bad or to be deleted."""

    frame: pl.DataFrame
    keys: pl.Series
    diagnostics: tuple[Diagnostic, ...] = ()


def no_sessions() -> Sessions:
    return Sessions(pl.DataFrame(schema=SESSIONS_SCHEMA), pl.Series("sourced_id", [], dtype=pl.String))


def read_sessions(sheet: Sheet) -> Sessions:
    """Raises Refusal where sessions are above each other in a circle."""
    notes = list(sheet.diagnostics)
    rows = sheet.frame.unique(pl.exclude("line"), keep="first", maintain_order=True)
    rows = rows.with_columns(read_date(rows["start"]).values, read_date(rows["end"]).values)
    keys = rows["sourced_id"].drop_nulls().unique(maintain_order=True)
    deleted = pl.col("status").str.to_lowercase().is_in(["tobedeleted", "inactive"]).fill_null(False)
    rows = rows.filter(~deleted)
    dated = (pl.col("start") < pl.col("end")).fill_null(False)
    undated = rows.filter(~dated)
    if undated.height:
        message = f"startDate and endDate are no two days, one after the other: {UNUSED}"
        notes.append(remark(sheet.table.file, undated, "invalid-session-dates", message))
    rows = rows.filter(dated)
    unclear = pl.col("sourced_id").is_null() | pl.col("sourced_id").is_duplicated()
    twice = rows.filter(unclear)
    if twice.height:
        message = f"sourcedId is empty or stands in rows that differ: {UNUSED}"
        notes.append(remark(sheet.table.file, twice, "duplicate-session", message))
    frame = rows.filter(~unclear).select(list(SESSIONS_SCHEMA))
    refuse_session_cycles(frame)
    return Sessions(frame, keys, tuple(notes))


def sessions_laid_over(earlier: pl.DataFrame, sent: Sessions) -> pl.DataFrame:
    """The sessions known before, with those of a delta in their place. One that the delta names and that cannot be
    read, or is to be deleted, is not known any more. Raises Refusal as `read_sessions` does."""
    frame = pl.concat([earlier.filter(~pl.col("sourced_id").is_in(sent.keys.implode())), sent.frame])
    refuse_session_cycles(frame)
    return frame


def refuse_session_cycles(sessions: pl.DataFrame) -> None:
    refuse_cycles(sessions, "academicSessions.csv", "session-cycle", "sessions")
