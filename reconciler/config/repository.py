"""Loads a customers repository: reads every document, merges inherited values, validates, and checks references.

One pass finds all mistakes of all files. A customer with an error in any of its files is invalid as a whole; other
customers are not affected.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
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
from reconciler.config.load.sources import warn_about_shared_sources
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
from reconciler.model.ids import CustomerId
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


def load_repository(directory: Path, *, moment: datetime | None = None) -> Repository:
    """Load the repository below a directory; `reconciler.yaml` is next to it.

    moment: agreements must not be later; default: now. Raises Refusal if a folder cannot be listed.
    """
    with gc_paused():
        return _load(scan_repository(directory), moment or datetime.now(UTC), None, parallel=True)


def load_settings(directory: Path) -> Settings:
    """Return reconciler.yaml alone, or the defaults without it. Raises ConfigurationRefusal if it is invalid."""
    file, misnamed = find_settings_file(directory)
    settings, _, diagnostics, _ = _read_settings_file(file)
    errors = tuple(each for each in (*misnamed, *diagnostics) if each.is_error)
    if errors:
        raise ConfigurationRefusal(errors)
    return settings


def load_from_layout(
    layout: RepositoryLayout, *, moment: datetime | None = None, only: Collection[CustomerId] | None = None
) -> Repository:
    """Load the repository of these files.

    only: IDs of the customers to read; None for all. Of other customers only the IDs are known; consumer keys are
    compared among the customers that are read.
    """
    with gc_paused():
        return _load(layout, moment or datetime.now(UTC), only)


def _load(
    layout: RepositoryLayout, moment: datetime, only: Collection[CustomerId] | None, *, parallel: bool = False
) -> Repository:
    """Load the repository of a layout. parallel: the files are on disk, so that worker processes can read them."""
    settings, network, settings_diagnostics, origins = _read_settings_file(layout.settings)
    settings_diagnostics = (*layout.settings_diagnostics, *settings_diagnostics)
    settings_errors = tuple(each for each in settings_diagnostics if each.is_error)
    context = ValidationContext(moment, network)
    defaults = DefaultsResolver(layout.defaults, context)
    lessons, catalog_diagnostics = _load_catalog(layout, context)
    names = {file.stem for file in layout.catalog}
    folders = [each for each in layout.customers if only is None or each.id in only]
    read = partial(open_candidate, defaults=defaults, shared_lessons=names, context=context)
    candidates = _read_candidates(folders, read, parallel=parallel)
    _check_uniqueness(candidates)
    customers, invalid = _partition_candidates(candidates)
    catalog_errors = sort_diagnostics(each for each in catalog_diagnostics if each.is_error)
    if catalog_errors:
        invalid[CATALOG] = catalog_errors
    diagnostics = [*layout.diagnostics, *settings_diagnostics, *catalog_diagnostics]
    diagnostics += (each for opened in defaults.load_results for each in opened.diagnostics)
    diagnostics += (each for candidate in candidates for each in candidate.diagnostics)
    return Repository(
        settings,
        settings_errors,
        customers,
        dict(sorted(invalid.items())),
        lessons,
        sort_diagnostics(diagnostics),
        tuple(sorted(_iter_file_names(layout, folders))),
        {each.id: each for each in layout.customers},
        origins,
    )


AnyCandidate = CustomerCandidate | SummarizedCandidate


def _read_candidates(folders: Sequence[CustomerFolder], read: ReadAgain, *, parallel: bool) -> list[AnyCandidate]:
    """Read each folder. A folder that a worker finds invalid is read again here, for its diagnostics."""
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
    """Return reconciler.yaml (or the defaults without it), its network settings, the diagnostics and the place of each
    value.

    The network settings are known even if other keys are invalid; None if they are invalid themselves.
    """
    if file is None:
        return Settings(), Network(), (), {}
    opened = open_document(file, Settings, None, ValidationContext())
    diagnostics = list(opened.diagnostics)
    network = opened.model.network if opened.model is not None else None
    if opened.tree is not None:
        diagnostics += warn_about_forthcoming_keys("settings", opened.tree)
        diagnostics += warn_about_store_passwords(opened.tree)
        network = network or _read_network(opened.tree)
    origins = find_origins(opened.tree) if opened.tree is not None else {}
    return opened.model or Settings(), network, tuple(diagnostics), origins


def _read_network(tree: MappingNode) -> Network | None:
    try:
        network = read_single_key(Settings, tree, "network", ValidationContext())
    except UnknownValue:
        return None
    return network if isinstance(network, Network) else None


def _load_catalog(
    layout: RepositoryLayout, context: ValidationContext
) -> tuple[tuple[ValidDocument, ...], list[Diagnostic]]:
    """Return the shared lessons, sorted by ID, and all diagnostics about them."""
    diagnostics = list(layout.catalog_diagnostics)
    lessons = []
    results = [open_document(file, Lesson, "lesson", context) for file in layout.catalog]
    for file, opened in zip(layout.catalog, results, strict=True):
        misnamed = tuple(check_id_matches_name(opened, "lesson", file.stem))
        diagnostics += (*opened.diagnostics, *misnamed)
        if opened.tree is not None:
            diagnostics += warn_about_forthcoming_keys("lesson", opened.tree)
        if opened.model is not None and opened.tree is not None and not misnamed:
            lessons.append(ValidDocument(Kind.LESSON, file.stem, opened.model, opened.tree))
    return tuple(lessons), [*diagnostics, *check_former_ids(Kind.LESSON, results)]


def _check_uniqueness(candidates: Collection[AnyCandidate]) -> None:
    """Add errors for IDs, former IDs and consumer keys that several customers have, and warnings for shared sources."""
    by_id: dict[CustomerId, list[AnyCandidate]] = defaultdict(list)
    for candidate in candidates:
        by_id[candidate.id].append(candidate)
    for same in by_id.values():
        for candidate in same if len(same) > 1 else ():
            others = ", ".join(_locate_candidate(each).file for each in same if each is not candidate)
            candidate.diagnostics.append(
                build_error(
                    "duplicate-customer",
                    f"customer {candidate.id} is also in {others}",
                    _locate_candidate(candidate),
                    "Rename or remove one: IDs are unique across all customers.",
                )
            )
    readable = [each for each in candidates if each.is_read]
    key_errors = find_shared_consumer_keys(each.consumer_keys for each in readable)
    id_errors = find_former_id_mistakes(Kind.CUSTOMER, [(each.id, each.former) for each in readable], by_id)
    warnings = warn_about_shared_sources(each.source for each in readable)
    for candidate, about_keys, about_ids, about_source in zip(readable, key_errors, id_errors, warnings, strict=True):
        candidate.diagnostics += [*about_keys, *about_ids, *about_source]


def _locate_candidate(candidate: AnyCandidate) -> Span:
    file = candidate.folder.file
    return Span(file.name, 1, 1) if file else Span(candidate.id)


def _partition_candidates(
    candidates: Iterable[AnyCandidate],
) -> tuple[Mapping[CustomerId, ResolvedCustomer], dict[CustomerId, tuple[Diagnostic, ...]]]:
    """Return the valid customers and, for each invalid one, its diagnostics, both by ID.

    An ID or former ID that an invalid folder claims is invalid too, unless it is a valid customer's: its meaning is
    unknown, so it is not removed.
    """
    valid: dict[CustomerId, ResolvedCustomer] = {}
    invalid: dict[CustomerId, list[Diagnostic]] = defaultdict(list)
    claims: list[AnyCandidate] = []
    for candidate in candidates:
        resolved = candidate.resolve_customer()
        if resolved is not None:
            valid[candidate.id] = resolved
        else:
            invalid[candidate.id] += candidate.diagnostics
            claims.append(candidate)
    for candidate in claims:
        for claimed in (candidate.claimed_id, *candidate.former_ids):
            if claimed is not None and claimed not in valid and claimed not in invalid:
                invalid[claimed] += candidate.diagnostics
    return dict(sorted(valid.items())), {name: sort_diagnostics(each) for name, each in invalid.items()}


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
