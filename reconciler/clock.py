"""Gives the current time, from one replaceable source, so that tests can play a school year in a minute.

Moments are text (`model.moment`); dates are text, `YYYY-MM-DD`: both sort chronologically.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from reconciler.model.ids import Moment
from reconciler.model.moment import add_span, format_moment


def _read_system_time() -> datetime:
    return datetime.now(UTC)


_time_source: ContextVar[Callable[[], datetime]] = ContextVar("clock", default=_read_system_time)


def get_current_moment() -> Moment:
    """Return the current moment in UTC, to the second."""
    return format_moment(_time_source.get()())


def get_current_day(timezone: str = "UTC") -> str:
    """Return today's date in an IANA time zone."""
    return _time_source.get()().astimezone(ZoneInfo(timezone)).date().isoformat()


def subtract_span(moment: Moment, span: timedelta) -> Moment:
    """Return the moment that lies `span` before `moment`."""
    return add_span(moment, -span)


@contextmanager
def freeze_time(moment: datetime) -> Iterator[None]:
    """Stop the clock at `moment` for the block: for simulations and tests."""
    token = _time_source.set(lambda: moment)
    try:
        yield
    finally:
        _time_source.reset(token)
