"""A customers repository beside a state of git: whose resolved configuration differs, and of which files it was read.

Only customers that a differing file may concern are read, on both sides.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reconciler.config.git import Revision
from reconciler.config.inputs import digest_inputs
from reconciler.config.load.layout import DEFAULTS_FILE, SETTINGS_FILE, Layout, lay_out, relative
from reconciler.config.repository import Declared, Repository, load_layout
from reconciler.gc_pause import gc_paused
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, Base


@dataclass(frozen=True)
class Comparison:
    """before: the base's repository; now: the files'. Of both, only what a differing file may concern. differing:
    customers whose documents differ or do not validate, and CATALOGUE. layout: all of the files as they are now.
    inputs: by customer that no differing file concerns, a digest of what it is read from (`config.inputs`)."""

    base: Base
    before: Repository
    now: Repository
    layout: Layout
    differing: frozenset[str]
    inputs: Mapping[str, str | None]

    @property
    def layout_ids(self) -> frozenset[str]:
        return frozenset(folder.id for folder in self.layout.customers)

    def also(self, customers: Collection[str], today: date | None = None) -> Repository:
        """Further customers, as the files have them."""
        return load_layout(self.layout, today=today, only=customers)


def compare_with(directory: Path, ref: str, *, today: date | None = None) -> Comparison:
    """Raises Refusal where `ref` is no commit of a checkout around `directory`."""
    with gc_paused():
        return _compared(directory, ref, today)


def _compared(directory: Path, ref: str, today: date | None) -> Comparison:
    layout = lay_out(directory)
    with Revision(directory, ref) as revision:
        differing = revision.differing()
        # Where every file is called as it was, names need not be looked at again.
        other = lay_out(directory, revision) if differing.names else layout
        touched = _touched(directory, differing.paths, layout, other)
        earlier = other if differing.names else layout.among(revision, touched)
        before = load_layout(earlier, today=today, only=touched)
        now = load_layout(layout, today=today, only=touched)
        untouched = () if touched is None else (each for each in layout.customers if each.id not in touched)
        inputs = {folder.id: digest_inputs(folder, revision.blob) for folder in untouched}
    names = {each.id for each in (*layout.customers, *earlier.customers)} if touched is None else touched
    others = {name for name in names if _documents(before, name) != _documents(now, name) or name in now.invalid}
    if _catalogue(before) != _catalogue(now) or CATALOGUE in now.invalid:
        others.add(CATALOGUE)
    return Comparison(revision.base, before, now, layout, frozenset(others), inputs)


def _touched(directory: Path, paths: Collection[str], *layouts: Layout) -> frozenset[str] | None:
    """Ids of the customers that these files may concern; None for all."""
    catalogues = [{file.stem for file in layout.catalogue} for layout in layouts]
    if os.path.join("..", SETTINGS_FILE) in paths or catalogues[0] != catalogues[1]:
        # It may change what is valid anywhere, and what every customer is granted.
        return None
    folders: dict[str, set[str]] = {}
    start = str(directory)
    for layout in layouts:
        for folder in layout.customers:
            folders.setdefault(relative(folder.path, start), set()).add(folder.id)
    found: set[str] = set()
    inherited: set[str] = set()
    for path in paths:
        above, name = os.path.split(path)
        if name == DEFAULTS_FILE:
            inherited.add(above)
        while above:
            found |= folders.get(above, set())
            above = os.path.dirname(above)
    for folder_path, names in folders.items() if inherited else ():
        if any(not above or folder_path.startswith(f"{above}{os.sep}") for above in inherited):
            found |= names
    return frozenset(found)


Documents = Mapping[tuple[Kind, str], Mapping[str, object]]


def _documents(repository: Repository, customer: str) -> Documents | None:
    resolved = repository.customers.get(customer)
    return documents_of(resolved.declared) if resolved else None


def _catalogue(repository: Repository) -> Documents:
    return documents_of(repository.catalogue)


def documents_of(declared: Iterable[Declared]) -> Documents:
    """By kind and id."""
    return {(each.kind, each.id): each.document for each in declared}
