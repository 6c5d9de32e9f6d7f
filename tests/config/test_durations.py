"""Every duration in YAML has bounds, and editors know them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.config.fields import values
from reconciler.config.fields.values import FetchTime, Retention, SessionTime, Window
from reconciler.model.moment import DURATION_UNITS

TYPES = {"window": Window, "retention": Retention, "login_timeout": SessionTime, "timeout": FetchTime}


@pytest.mark.parametrize("type_", TYPES.values(), ids=list(TYPES))
@pytest.mark.parametrize("unit", DURATION_UNITS)
def test_the_pattern_for_editors_has_the_bounds_in_every_unit(type_: object, unit: str) -> None:
    adapter: TypeAdapter[timedelta] = TypeAdapter(type_)
    pattern = re.compile(adapter.json_schema()["pattern"])
    numbers = {0, 1, 2, 9, 10, 23, 24, 25, 30, 31, 99, 365, 366, 367, 719, 720, 721, 1439, 1440, 1441, 3650, 3651}
    numbers |= {8784, 8785, 43200, 43201, 87600, 87601, 527040, 527041, 600000, 999999, 5256000, 5256001, 99999999}
    for number in sorted(numbers):
        text = f"{number}{unit}"
        try:
            adapter.validate_python(text)
            accepted = True
        except ValidationError:
            accepted = False
        assert bool(pattern.search(text)) == accepted, text


def test_a_duration_without_bounds_does_not_exist() -> None:
    assert not hasattr(values, "Duration")
