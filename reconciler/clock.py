"""What time it is. Asked in one place, so that a school year can be played in a minute.

Moments are text, `YYYY-MM-DDTHH:MM:SSZ`; days are text, `YYYY-MM-DD`: both sort as time does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def _read_system_time() -> datetime:
    return datetime.now(UTC)


_time_source: ContextVar[Callable[[], datetime]] = ContextVar("clock", default=_read_system_time)


def get_current_moment() -> str:
    """The moment in UTC, to the second."""
    return f"{_time_source.get()().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def get_current_day(timezone: str = "UTC") -> str:
    """The day in a time zone of the IANA list."""
    return f"{_time_source.get()().astimezone(ZoneInfo(timezone)):%Y-%m-%d}"


def subtract_span(moment: str, span: timedelta) -> str:
    """The moment so long before another."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC) - span:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def freeze_time(moment: datetime) -> Iterator[None]:
    """Within it, it is always this moment: for simulations and tests."""
    token = _time_source.set(lambda: moment)
    try:
        yield
    finally:
        _time_source.reset(token)
