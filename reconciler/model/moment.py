"""Writes and reads moments: text `YYYY-MM-DDTHH:MM:SSZ`, in UTC, which sorts chronologically."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model.ids import Moment

#: The shape of a moment, for databases: `_` stands for a digit.
MOMENT_SHAPE = "____-__-__T__:__:__Z"

FIRST_MOMENT = Moment("0001-01-01T00:00:00Z")
LAST_MOMENT = Moment("9999-12-31T23:59:59Z")


def format_moment(time: datetime) -> Moment:
    """Return a time with a zone as a moment. The year has four digits on every platform, as strftime's does not."""
    return Moment(f"{time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z")


def parse_moment(moment: Moment) -> datetime:
    """Return the time, with its zone, that `format_moment` wrote."""
    return datetime.fromisoformat(moment).astimezone(UTC)


def add_span(moment: Moment, span: timedelta) -> Moment:
    """Return the moment that lies `span` after another, or the calendar's first or last moment if it is outside."""
    try:
        return format_moment(parse_moment(moment) + span)
    except OverflowError:
        return FIRST_MOMENT if span < timedelta() else LAST_MOMENT
