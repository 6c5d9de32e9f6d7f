"""The roster of a hundred people that the tests of the main job begin with."""

from __future__ import annotations

from pathlib import Path

from tests.support.customers.project import Project
from tests.support.rosters.bundles import Bundle, bundle

DAY_ONE = bundle(users=100)


def zipped(project: Project, made: Bundle, name: str = "day.zip") -> Path:
    return made.zip(project.folder / name)
