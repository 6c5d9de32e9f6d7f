"""Compares a customers repository with a git commit and finds the customers whose resolved configuration differs.

On both sides it reads only the customers that a differing file may affect.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
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
from reconciler.model.ids import CustomerId
from reconciler.model.plan import CATALOG, GitBase
from reconciler.model.settings import DocumentsByKey


@dataclass(frozen=True)
class BaseComparison:
    """The differences between the files and the base. Both repositories hold only customers that a differing file may
    affect."""

    base: GitBase
    base_repository: Repository
    current_repository: Repository
    #: all files as they are now
    layout: RepositoryLayout
    #: customers whose documents differ or are invalid, and CATALOG if the shared lessons do
    differing_ids: frozenset[CustomerId]
    #: new ID -> former ID of customers whose customer.yaml git takes for a moved file
    moved_ids: Mapping[CustomerId, CustomerId]
    #: customer that no differing file affects -> digest of its files (`config.inputs`)
    inputs: Mapping[CustomerId, str | None]

    @property
    def layout_ids(self) -> frozenset[CustomerId]:
        return frozenset(folder.id for folder in self.layout.customers)

    def load_more_customers(self, customers: Collection[CustomerId], moment: datetime | None = None) -> Repository:
        """Load further customers from the files."""
        return load_from_layout(self.layout, moment=moment, only=customers)


def compare_with_base(directory: Path, ref: str, *, moment: datetime | None = None) -> BaseComparison:
    """Compare the files with a git commit. Raises Refusal if `ref` is not a commit of the surrounding checkout."""
    with gc_paused():
        return _build_comparison(directory, ref, moment)


def _build_comparison(directory: Path, ref: str, moment: datetime | None) -> BaseComparison:
    layout = scan_repository(directory)
    with GitRevision(directory, ref) as revision:
        differing = revision.find_differences()
        # If no file name differs, the base has the same layout.
        other = scan_repository(directory, revision) if differing.names_differ else layout
        touched = _find_touched_customers(directory, differing.paths, layout, other)
        earlier = other if differing.names_differ else layout.replace_files(revision, touched)
        before = load_from_layout(earlier, moment=moment, only=touched)
        now = load_from_layout(layout, moment=moment, only=touched)
        untouched = () if touched is None else (each for each in layout.customers if each.id not in touched)
        moved_ids = _find_moved_customers(directory, revision, layout, other) if differing.names_differ else {}
        inputs = {folder.id: digest_inputs(folder, revision.get_blob_id) for folder in untouched}
    names = {each.id for each in (*layout.customers, *earlier.customers)} if touched is None else touched
    differing_ids = {
        name
        for name in names
        if _collect_documents(before, name) != _collect_documents(now, name) or name in now.invalid
    }
    if _collect_catalog(before) != _collect_catalog(now) or CATALOG in now.invalid:
        differing_ids.add(CATALOG)
    return BaseComparison(revision.base, before, now, layout, frozenset(differing_ids), moved_ids, inputs)


def _find_touched_customers(
    directory: Path, paths: Collection[str], *layouts: RepositoryLayout
) -> frozenset[CustomerId] | None:
    """Return the IDs of customers that these files may affect; None for all."""
    catalogs = [{file.stem for file in layout.catalog} for layout in layouts]
    if os.path.join("..", SETTINGS_FILE) in paths or catalogs[0] != catalogs[1]:
        # These decide what is valid in every file, and which limits every customer may have.
        return None
    folders: dict[str, set[CustomerId]] = {}
    start = str(directory)
    for layout in layouts:
        for folder in layout.customers:
            folders.setdefault(make_relative_path(folder.path, start), set()).add(folder.id)
    touched: set[CustomerId] = set()
    defaults_folders: set[str] = set()
    for path in paths:
        above, name = os.path.split(path)
        if name == DEFAULTS_FILE:
            defaults_folders.add(above)
        while above:
            touched |= folders.get(above, set())
            above = os.path.dirname(above)
    for folder_path, names in folders.items() if defaults_folders else ():
        if any(not above or folder_path.startswith(f"{above}{os.sep}") for above in defaults_folders):
            touched |= names
    return frozenset(touched)


def _find_moved_customers(
    directory: Path, revision: GitRevision, layout: RepositoryLayout, earlier: RepositoryLayout
) -> dict[CustomerId, CustomerId]:
    start = str(directory)
    ids, former_ids = (
        {make_relative_path(each.file.path, start): each.id for each in one.customers if each.file is not None}
        for one in (layout, earlier)
    )
    moved = ((ids.get(new), former_ids.get(former)) for new, former in revision.find_moved_files().items())
    return {new: former for new, former in moved if new is not None and former is not None and new != former}


def _collect_documents(repository: Repository, customer: CustomerId) -> DocumentsByKey | None:
    resolved = repository.customers.get(customer)
    return build_document_index(resolved.documents) if resolved else None


def _collect_catalog(repository: Repository) -> DocumentsByKey:
    return build_document_index(repository.catalog)


def build_document_index(declared: Iterable[ConfigDocument]) -> DocumentsByKey:
    """Return the JSON-able documents by kind and ID."""
    return {(each.kind, each.id): each.document for each in declared}
