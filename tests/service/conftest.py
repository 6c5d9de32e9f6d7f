"""A school that an LMS launches into, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from reconciler import clock
from reconciler.service.app import build_app
from reconciler.service.site import Site
from tests.support.customers.project import Project
from tests.support.launches.school import HIGH, LESSON, LMS, PUBLIC_URL, TIME, Lms, open_site
from tests.support.launches.signed import SECRET
from tests.support.rosters.bundles import Bundle

MakeSchool = Callable[..., Site]


@pytest.fixture
def make_school(project: Project, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSchool]:
    """Apply a customer with an LMS and open its store for requests; call it once.

    seats, auto: of the community. roster: of the customer, which has none without it.
    """
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__LMS", SECRET)
    opened = []

    def apply_and_open(*, seats: int = 100, auto: str = "true", roster: Bundle | None = None) -> Site:
        project.customer(org="d-1" if roster else None, more=LMS)
        project.write("customers/springfield/communities/high.yaml", HIGH.format(seats=seats, auto=auto))
        project.write("customers/springfield/lessons/cells.yaml", LESSON)
        bundle: list[str | Path] = ["springfield", "--zip", roster.zip(project.folder / "day.zip")] if roster else []
        with clock.freeze_time(TIME - timedelta(hours=1)):
            result = project.apply(*bundle)
            assert result.code == 0, result.out + result.err
        context = open_site(store_url)
        opened.append(context)
        return context.__enter__()

    yield apply_and_open
    for each in opened:
        each.__exit__(None, None, None)


@pytest.fixture
def school(make_school: MakeSchool) -> Site:
    """A school without a roster, of 100 seats, where accounts are made by themselves."""
    return make_school()


@pytest.fixture(autouse=True)
def _school_hours() -> Iterator[None]:
    with clock.freeze_time(TIME):
        yield


@pytest.fixture
def lms(school: Site) -> Lms:
    return connect(school)


def connect(site: Site) -> Lms:
    """Return an LMS with a new browser."""
    return Lms(TestClient(build_app(site), base_url=PUBLIC_URL, follow_redirects=False))
