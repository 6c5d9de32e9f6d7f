"""Writes and reads moments and durations.

A moment is text `YYYY-MM-DDTHH:MM:SSZ`, in UTC, which sorts chronologically; a duration is text such as `30d`.
"""

from datetime import UTC, datetime, timedelta

from reconciler.model.ids import Moment

FIRST_MOMENT = Moment("0001-01-01T00:00:00Z")
LAST_MOMENT = Moment("9999-12-31T23:59:59Z")

DURATION_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


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


def parse_duration(text: str) -> timedelta:
    """Return the duration of a text that `format_duration` wrote."""
    return int(text[:-1]) * DURATION_UNITS[text[-1]]


def format_duration(value: timedelta) -> str:
    """Return the duration in the largest exact unit: `7d`, `8h`, `30m`."""
    unit = next(unit for unit, length in DURATION_UNITS.items() if not value % length)
    return f"{value // DURATION_UNITS[unit]}{unit}"
