"""Fixtures for the tests of syncs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.customers.project import Project
from tests.support.operations.synced_customers import DAY
from tests.support.rosters.bundles import Bundle
from tests.support.sources.in_memory import API, SFTP, GivenSource, Sources, given_sources


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    return given_sources(monkeypatch)


@pytest.fixture
def customer(project: Project, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GivenSource]:
    """Makes a customer with a source of its own, applied without a roster."""

    def make(
        name: str = "springfield", *, rostering: str = SFTP, auto: str = "", more: str = "", given: Bundle = DAY
    ) -> GivenSource:
        for secret in ("SFTP", "ONEROSTER"):
            monkeypatch.setenv(f"RECONCILER_SECRET__{name.upper()}__{secret}", "hunter2")
        source = rostering.format(host=f"{name}.example.org", auto=auto)
        if name != "springfield":
            # Others have the same people by name, but not from the same district.
            source, given = source.replace("d-1", f"d-{name}"), given.with_district(f"d-{name}")
        project.customer(name, org=None, more=source + more)
        done = project.apply("--roster", "none", name)
        assert done.code == 0, done.err
        sources[name] = GivenSource(given, type="api" if rostering is API else "sftp")
        return sources[name]

    return make
