"""A customers repository beside a state of git: whose resolved configuration differs, and of which files it was read.

Only customers that a differing file may concern are read, on both sides.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from reconciler.config.git import GitRevision
from reconciler.config.inputs import digest_inputs
from reconciler.config.load.layout import (
    DEFAULTS_FILE,
    SETTINGS_FILE,
    RepositoryLayout,
    make_relative_path,
    scan_repository,
)
from reconciler.config.repository import ConfigDocument, Repository, load_from_layout
from reconciler.gc_pause import gc_paused
from reconciler.model.plan import CATALOG, GitBase
from reconciler.model.settings import DocumentsByKey


@dataclass(frozen=True)
class BaseComparison:
    """before: the base's repository; now: the files'. Of both, only what a differing file may concern. differing:
    customers whose documents differ or do not validate, and CATALOGUE. layout: all of the files as they are now.
    inputs: by customer that no differing file concerns, a digest of what it is read from (`config.inputs`)."""

    base: GitBase
    base_repository: Repository
    current_repository: Repository
    layout: RepositoryLayout
    differing_ids: frozenset[str]
    inputs: Mapping[str, str | None]

    @property
    def layout_ids(self) -> frozenset[str]:
        return frozenset(folder.id for folder in self.layout.customers)

    def load_more_customers(self, customers: Collection[str], today: date | None = None) -> Repository:
        """Further customers, as the files have them."""
        return load_from_layout(self.layout, today=today, only=customers)


def compare_with_base(directory: Path, ref: str, *, today: date | None = None) -> BaseComparison:
    """Raises Refusal where `ref` is no commit of a checkout around `directory`."""
    with gc_paused():
        return _build_comparison(directory, ref, today)


def _build_comparison(directory: Path, ref: str, today: date | None) -> BaseComparison:
    layout = scan_repository(directory)
    with GitRevision(directory, ref) as revision:
        differing = revision.find_differences()
        # Where every file is called as it was, names need not be looked at again.
        other = scan_repository(directory, revision) if differing.names_differ else layout
        touched = _find_touched_customers(directory, differing.paths, layout, other)
        earlier = other if differing.names_differ else layout.replace_files(revision, touched)
        before = load_from_layout(earlier, today=today, only=touched)
        now = load_from_layout(layout, today=today, only=touched)
        untouched = () if touched is None else (each for each in layout.customers if each.id not in touched)
        inputs = {folder.id: digest_inputs(folder, revision.get_blob_id) for folder in untouched}
    names = {each.id for each in (*layout.customers, *earlier.customers)} if touched is None else touched
    others = {
        name
        for name in names
        if _collect_documents(before, name) != _collect_documents(now, name) or name in now.invalid
    }
    if _collect_catalog(before) != _collect_catalog(now) or CATALOG in now.invalid:
        others.add(CATALOG)
    return BaseComparison(revision.base, before, now, layout, frozenset(others), inputs)


def _find_touched_customers(
    directory: Path, paths: Collection[str], *layouts: RepositoryLayout
) -> frozenset[str] | None:
    """Ids of the customers that these files may concern; None for all."""
    catalogues = [{file.stem for file in layout.catalog} for layout in layouts]
    if os.path.join("..", SETTINGS_FILE) in paths or catalogues[0] != catalogues[1]:
        # It may change what is valid anywhere, and what every customer is granted.
        return None
    folders: dict[str, set[str]] = {}
    start = str(directory)
    for layout in layouts:
        for folder in layout.customers:
            folders.setdefault(make_relative_path(folder.path, start), set()).add(folder.id)
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


def _collect_documents(repository: Repository, customer: str) -> DocumentsByKey | None:
    resolved = repository.customers.get(customer)
    return build_document_index(resolved.documents) if resolved else None


def _collect_catalog(repository: Repository) -> DocumentsByKey:
    return build_document_index(repository.catalog)


def build_document_index(declared: Iterable[ConfigDocument]) -> DocumentsByKey:
    """By kind and id."""
    return {(each.kind, each.id): each.document for each in declared}
