"""Loads a customers repository: every document read, inherited, validated and referred to.

All mistakes of all files are found in one go. A customer with a mistake in any of its files is invalid as a
whole; the others are not touched by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from reconciler.config.load.candidate import CustomerCandidate, check_former_ids, check_id_matches_name, open_candidate
from reconciler.config.load.checks import warn_about_forthcoming_keys, warn_about_store_passwords
from reconciler.config.load.defaults import DefaultsResolver
from reconciler.config.load.document import open_document
from reconciler.config.load.layout import (
    ConfigFile,
    CustomerFolder,
    RepositoryLayout,
    find_settings_file,
    scan_repository,
)
from reconciler.config.load.references import find_former_id_mistakes, find_shared_consumer_keys
from reconciler.config.load.resolved import ConfigDocument, Repository, ResolvedCustomer, ValidDocument
from reconciler.config.load.summary import ReadAgain, SummarizedCandidate, summarize
from reconciler.config.models.declaration import UnknownValue, ValidationContext
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.settings import Network, Settings
from reconciler.config.parallel import map_in_processes
from reconciler.config.validation.documents import find_origins
from reconciler.config.validation.partial_document import read_single_key
from reconciler.config.yaml.tree import MappingNode
from reconciler.gc_pause import gc_paused
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, build_error, sort_diagnostics
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG

__all__ = [
    "ConfigDocument",
    "Repository",
    "ResolvedCustomer",
    "ValidDocument",
    "load_from_layout",
    "load_repository",
    "load_settings",
]


def load_repository(directory: Path, *, today: date | None = None) -> Repository:
    """Load the repository below a directory; `reconciler.yaml` is beside it.

    today: agreements must not be later; by default the day in UTC. Raises Refusal if a folder cannot be listed.
    """
    with gc_paused():
        return _load(scan_repository(directory), today or datetime.now(UTC).date(), None, parallel=True)


def load_settings(directory: Path) -> Settings:
    """reconciler.yaml alone, or what holds without it. ConfigurationRefusal where it does not validate."""
    file, misnamed = find_settings_file(directory)
    settings, _, found, _ = _read_settings_file(file)
    wrong = tuple(each for each in (*misnamed, *found) if each.is_error)
    if wrong:
        raise ConfigurationRefusal(wrong)
    return settings


def load_from_layout(
    layout: RepositoryLayout, *, today: date | None = None, only: Collection[str] | None = None
) -> Repository:
    """The repository of these files. only: ids of the customers to read; None for all. What others say is not known
    then, but for their ids: consumer keys are compared among those that were read."""
    with gc_paused():
        return _load(layout, today or datetime.now(UTC).date(), only)


def _load(layout: RepositoryLayout, today: date, only: Collection[str] | None, *, parallel: bool = False) -> Repository:
    """parallel: the files are on disk, so that worker processes may read them."""
    settings, network, about_settings, origins = _read_settings_file(layout.settings)
    about_settings = (*layout.settings_diagnostics, *about_settings)
    settings_errors = tuple(each for each in about_settings if each.is_error)
    known = ValidationContext(today, network)
    heritage = DefaultsResolver(layout.defaults, known)
    shared, about_shared = _load_catalog(layout, known)
    names = {file.stem for file in layout.catalog}
    folders = [each for each in layout.customers if only is None or each.id in only]
    read = partial(open_candidate, heritage=heritage, shared_lessons=names, context=known)
    candidates = _read_candidates(folders, read, parallel=parallel)
    _check_uniqueness(candidates)
    customers, invalid = _partition_candidates(candidates)
    shared_errors = sort_diagnostics(each for each in about_shared if each.is_error)
    if shared_errors:
        invalid[CATALOG] = shared_errors
    found = [*layout.diagnostics, *about_settings, *about_shared]
    found += (each for opened in heritage.load_results for each in opened.diagnostics)
    found += (each for candidate in candidates for each in candidate.diagnostics)
    return Repository(
        settings,
        settings_errors,
        customers,
        dict(sorted(invalid.items())),
        shared,
        sort_diagnostics(found),
        tuple(sorted(_iter_file_names(layout, folders))),
        {each.id: each for each in layout.customers},
        origins,
    )


AnyCandidate = CustomerCandidate | SummarizedCandidate


def _read_candidates(folders: Sequence[CustomerFolder], read: ReadAgain, *, parallel: bool) -> list[AnyCandidate]:
    """Read each folder. What workers found invalid is read once more here, for its diagnostics."""
    summaries = map_in_processes(lambda folder: summarize(read(folder)), folders) if parallel else None
    if summaries is None:
        return [read(folder) for folder in folders]
    return [
        SummarizedCandidate(folder, summary, read, list(summary.warnings)) if summary else read(folder)
        for folder, summary in zip(folders, summaries, strict=True)
    ]


def _read_settings_file(
    file: ConfigFile | None,
) -> tuple[Settings, Network | None, tuple[Diagnostic, ...], Mapping[str, Span]]:
    """reconciler.yaml, or what holds without it, and what it says of the network, valid or not as a whole: None where
    that itself is not known. And where each value was written."""
    if file is None:
        return Settings(), Network(), (), {}
    opened = open_document(file, Settings, None, ValidationContext())
    found = list(opened.diagnostics)
    network = opened.model.network if opened.model is not None else None
    if opened.tree is not None:
        found += warn_about_forthcoming_keys("settings", opened.tree)
        found += warn_about_store_passwords(opened.tree)
        network = network or _read_network(opened.tree)
    origins = find_origins(opened.tree) if opened.tree is not None else {}
    return opened.model or Settings(), network, tuple(found), origins


def _read_network(tree: MappingNode) -> Network | None:
    try:
        found = read_single_key(Settings, tree, "network", ValidationContext())
    except UnknownValue:
        return None
    return found if isinstance(found, Network) else None


def _load_catalog(
    layout: RepositoryLayout, context: ValidationContext
) -> tuple[tuple[ValidDocument, ...], list[Diagnostic]]:
    """The shared lessons, sorted by id, and everything noticed about them."""
    found = list(layout.catalog_diagnostics)
    lessons = []
    read = [open_document(file, Lesson, "lesson", context) for file in layout.catalog]
    for file, opened in zip(layout.catalog, read, strict=True):
        misnamed = tuple(check_id_matches_name(opened, "lesson", file.stem))
        found += (*opened.diagnostics, *misnamed)
        if opened.tree is not None:
            found += warn_about_forthcoming_keys("lesson", opened.tree)
        if opened.model is not None and opened.tree is not None and not misnamed:
            lessons.append(ValidDocument(Kind.LESSON, file.stem, opened.model, opened.tree))
    return tuple(lessons), [*found, *check_former_ids(Kind.LESSON, read)]


def _check_uniqueness(candidates: Collection[AnyCandidate]) -> None:
    """Notes what customers must not share: ids, former ids and consumer keys."""
    by_id: dict[str, list[AnyCandidate]] = defaultdict(list)
    for candidate in candidates:
        by_id[candidate.id].append(candidate)
    for same in by_id.values():
        for candidate in same if len(same) > 1 else ():
            others = ", ".join(_locate_candidate(each).file for each in same if each is not candidate)
            candidate.diagnostics.append(
                build_error(
                    "duplicate-customer",
                    f"the customer {candidate.id} is also in {others}",
                    _locate_candidate(candidate),
                    "ids are unique over all customers: rename one, or remove it",
                )
            )
    read = [each for each in candidates if each.is_read]
    taken = find_shared_consumer_keys(each.consumer_keys for each in read)
    mistaken = find_former_id_mistakes(Kind.CUSTOMER, [(each.id, each.former) for each in read], by_id)
    for candidate, found, former in zip(read, taken, mistaken, strict=True):
        candidate.diagnostics += [*found, *former]


def _locate_candidate(candidate: AnyCandidate) -> Span:
    file = candidate.folder.file
    return Span(file.name, 1, 1) if file else Span(candidate.id)


def _partition_candidates(
    candidates: Iterable[AnyCandidate],
) -> tuple[Mapping[str, ResolvedCustomer], dict[str, tuple[Diagnostic, ...]]]:
    """Valid customers by id, and why the others are not. A folder that claims another id than its name, or a former
    one, makes that id invalid too, unless it is a valid customer's: what it means is not known, so it is not
    removed."""
    valid: dict[str, ResolvedCustomer] = {}
    wrong: dict[str, list[Diagnostic]] = defaultdict(list)
    claims: list[AnyCandidate] = []
    for candidate in candidates:
        resolved = candidate.resolve_customer()
        if resolved is not None:
            valid[candidate.id] = resolved
        else:
            wrong[candidate.id] += candidate.diagnostics
            claims.append(candidate)
    for candidate in claims:
        for claimed in (candidate.claimed_id, *candidate.former_ids):
            if claimed is not None and claimed not in valid and claimed not in wrong:
                wrong[claimed] += candidate.diagnostics
    return dict(sorted(valid.items())), {name: sort_diagnostics(found) for name, found in wrong.items()}


def _iter_file_names(layout: RepositoryLayout, folders: Iterable[CustomerFolder]) -> Iterator[str]:
    if layout.settings is not None:
        yield layout.settings.name
    for file in (*layout.defaults, *layout.catalog):
        yield file.name
    for folder in folders:
        if folder.file is not None:
            yield folder.file.name
        for file in (*folder.communities, *folder.lessons):
            yield file.name
