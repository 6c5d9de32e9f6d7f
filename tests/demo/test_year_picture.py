"""docs/year.svg is what the script makes of the year that was recorded, and says what is in it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from demo.year.__main__ import SEED
from demo.year.picture import WORTH_A_BAR, render_picture
from demo.year.schools import WHOLE
from demo.year.series import Series, load_series

DOCS = Path(__file__).resolve().parents[2] / "docs"
LARGEST = 40_000


@pytest.fixture(scope="module")
def series() -> Series:
    return load_series(DOCS / "year.json")


def test_the_picture_is_made_from_the_recorded_year(series: Series) -> None:
    assert (DOCS / "year.svg").read_text(encoding="utf-8") == render_picture(series)
    assert (DOCS / "year.json").read_text(encoding="utf-8") == series.dump_json()


def test_recorded_year_is_whole_from_the_committed_seed(series: Series) -> None:
    assert (series.seed, series.scale) == (SEED, WHOLE.name)
    assert series.days[-1].live == series.days[-1].should
    lost = [day.day for day in series.days if day.live < day.should and day.event not in ("slow-bleed", "")]
    assert lost == []


def test_picture_is_small_well_formed_and_themed(series: Series) -> None:
    made = render_picture(series)
    assert len(made.encode()) < LARGEST
    root = ElementTree.fromstring(made)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in made
    assert "<script" not in made
    assert "http" not in made.replace("http://www.w3.org/2000/svg", "")


def test_every_roster_that_left_people_out_has_its_line(series: Series) -> None:
    short = [day for day in series.days if day.live - day.sent >= WORTH_A_BAR]
    assert render_picture(series).count('<line class="gone"') == len(short) + 1
    assert {"outage-half-file", "wrong-file", "header-only", "empty-file", "summer"} <= {day.event for day in short}


def test_event_names_cannot_break_the_picture(series: Series) -> None:
    odd = replace(series.days[0], event='<a & "b">', mark="wrong", became="held")
    ElementTree.fromstring(render_picture(replace(series, days=[odd, *series.days[1:]])))
