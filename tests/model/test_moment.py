"""Moments have one form, which sorts chronologically."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.moment import FIRST_MOMENT, LAST_MOMENT, add_span, format_moment, parse_moment

EVENING = format_moment(datetime(2026, 11, 30, 18, tzinfo=UTC))
ALL_TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0))


@given(ALL_TIMES, ALL_TIMES)
def test_moments_sort_as_times_do_in_every_year(one: datetime, other: datetime) -> None:
    first, second = format_moment(one), format_moment(other)
    assert (first < second) == (one < other)
    assert parse_moment(first) == one


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    assert format_moment(datetime(2026, 11, 30, 18, tzinfo=timezone(timedelta(hours=13)))) == "2026-11-30T05:00:00Z"


@pytest.mark.parametrize(
    ("days", "moment"), [(-600_000, "0384-"), (-999_999, FIRST_MOMENT), (3_000_000, LAST_MOMENT), (1, "2026-12-01T18")]
)
def test_a_span_ends_at_the_calendar_and_keeps_four_digits_of_a_year(days: int, moment: str) -> None:
    assert add_span(EVENING, timedelta(days=days)).startswith(moment)
