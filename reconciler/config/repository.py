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

from reconciler.config.load.candidate import Candidate, former_id_mistakes, named_otherwise, open_candidate
from reconciler.config.load.checks import not_yet_in_force, passwords_in_stores
from reconciler.config.load.defaults import Heritage
from reconciler.config.load.document import open_document
from reconciler.config.load.layout import CustomerFolder, Document, Layout, lay_out, settings_file
from reconciler.config.load.partial import read_alone
from reconciler.config.load.references import mistaken_former_ids, shared_consumer_keys
from reconciler.config.load.summary import ReadAgain, SummarizedCandidate, summarize
from reconciler.config.models.declaration import Circumstances, NotKnown
from reconciler.config.models.lesson import Lesson
from reconciler.config.models.settings import Network, Settings
from reconciler.config.parallel import map_in_processes
from reconciler.config.resolved import Declared, Repository, ResolvedCustomer, Written
from reconciler.config.yaml.documents import origins_of
from reconciler.config.yaml.tree import MappingNode
from reconciler.gc_pause import gc_paused
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic, Span, error, in_order
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE

__all__ = ["Declared", "Repository", "ResolvedCustomer", "Written", "load", "load_layout", "load_settings"]


def load(directory: Path, *, today: date | None = None) -> Repository:
    """Load the repository below a directory; `reconciler.yaml` is beside it.

    today: agreements must not be later; by default the day in UTC. Raises Refusal if a folder cannot be listed.
    """
    with gc_paused():
        return _load(lay_out(directory), today or datetime.now(UTC).date(), None, parallel=True)


def load_settings(directory: Path) -> Settings:
    """reconciler.yaml alone, or what holds without it. ConfigurationRefusal where it does not validate."""
    file, misnamed = settings_file(directory)
    settings, _, found, _ = _settings(file)
    wrong = tuple(each for each in (*misnamed, *found) if each.is_error)
    if wrong:
        raise ConfigurationRefusal(wrong)
    return settings


def load_layout(layout: Layout, *, today: date | None = None, only: Collection[str] | None = None) -> Repository:
    """The repository of these files. only: ids of the customers to read; None for all. What others say is not known
    then, but for their ids: consumer keys are compared among those that were read."""
    with gc_paused():
        return _load(layout, today or datetime.now(UTC).date(), only)


def _load(layout: Layout, today: date, only: Collection[str] | None, *, parallel: bool = False) -> Repository:
    """parallel: the files are on disk, so that worker processes may read them."""
    settings, network, about_settings, origins = _settings(layout.settings)
    about_settings = (*layout.settings_misnamed, *about_settings)
    settings_errors = tuple(each for each in about_settings if each.is_error)
    known = Circumstances(today, network)
    heritage = Heritage(layout.defaults, known)
    shared, about_shared = _catalogue(layout, known)
    names = {file.stem for file in layout.catalogue}
    folders = [each for each in layout.customers if only is None or each.id in only]
    read = partial(open_candidate, heritage=heritage, shared_lessons=names, known=known)
    candidates = _read_candidates(folders, read, parallel=parallel)
    _compare(candidates)
    customers, invalid = _sorted(candidates)
    shared_errors = in_order(each for each in about_shared if each.is_error)
    if shared_errors:
        invalid[CATALOGUE] = shared_errors
    found = [*layout.diagnostics, *about_settings, *about_shared]
    found += (each for opened in heritage.opened for each in opened.diagnostics)
    found += (each for candidate in candidates for each in candidate.found)
    return Repository(
        settings,
        settings_errors,
        customers,
        dict(sorted(invalid.items())),
        shared,
        in_order(found),
        tuple(sorted(_file_names(layout, folders))),
        {each.id: each for each in layout.customers},
        origins,
    )


AnyCandidate = Candidate | SummarizedCandidate


def _read_candidates(folders: Sequence[CustomerFolder], read: ReadAgain, *, parallel: bool) -> list[AnyCandidate]:
    """Read each folder. What workers found invalid is read once more here, for its diagnostics."""
    summaries = map_in_processes(lambda folder: summarize(read(folder)), folders) if parallel else None
    if summaries is None:
        return [read(folder) for folder in folders]
    return [
        SummarizedCandidate(folder, summary, read, list(summary.warnings)) if summary else read(folder)
        for folder, summary in zip(folders, summaries, strict=True)
    ]


def _settings(
    file: Document | None,
) -> tuple[Settings, Network | None, tuple[Diagnostic, ...], Mapping[str, Span]]:
    """reconciler.yaml, or what holds without it, and what it says of the network, valid or not as a whole: None where
    that itself is not known. And where each value was written."""
    if file is None:
        return Settings(), Network(), (), {}
    opened = open_document(file, Settings, None, Circumstances())
    found = list(opened.diagnostics)
    network = opened.model.network if opened.model is not None else None
    if opened.tree is not None:
        found += not_yet_in_force("settings", opened.tree)
        found += passwords_in_stores(opened.tree)
        network = network or _network_alone(opened.tree)
    origins = origins_of(opened.tree) if opened.tree is not None else {}
    return opened.model or Settings(), network, tuple(found), origins


def _network_alone(tree: MappingNode) -> Network | None:
    try:
        found = read_alone(Settings, tree, "network", Circumstances())
    except NotKnown:
        return None
    return found if isinstance(found, Network) else None


def _catalogue(layout: Layout, known: Circumstances) -> tuple[tuple[Written, ...], list[Diagnostic]]:
    """The shared lessons, sorted by id, and everything noticed about them."""
    found = list(layout.catalogue_diagnostics)
    lessons = []
    read = [open_document(file, Lesson, "lesson", known) for file in layout.catalogue]
    for file, opened in zip(layout.catalogue, read, strict=True):
        misnamed = tuple(named_otherwise(opened, "lesson", file.stem))
        found += (*opened.diagnostics, *misnamed)
        if opened.tree is not None:
            found += not_yet_in_force("lesson", opened.tree)
        if opened.model is not None and opened.tree is not None and not misnamed:
            lessons.append(Written(Kind.LESSON, file.stem, opened.model, opened.tree))
    return tuple(lessons), [*found, *former_id_mistakes(Kind.LESSON, read)]


def _compare(candidates: Collection[AnyCandidate]) -> None:
    """Notes what customers must not share: ids, former ids and consumer keys."""
    by_id: dict[str, list[AnyCandidate]] = defaultdict(list)
    for candidate in candidates:
        by_id[candidate.id].append(candidate)
    for same in by_id.values():
        for candidate in same if len(same) > 1 else ():
            others = ", ".join(_where(each).file for each in same if each is not candidate)
            candidate.found.append(
                error(
                    "duplicate-customer",
                    f"the customer {candidate.id} is also in {others}",
                    _where(candidate),
                    "ids are unique over all customers: rename one, or remove it",
                )
            )
    read = [each for each in candidates if each.is_read]
    taken = shared_consumer_keys(each.consumer_keys for each in read)
    mistaken = mistaken_former_ids(Kind.CUSTOMER, [(each.id, each.former) for each in read], by_id)
    for candidate, found, former in zip(read, taken, mistaken, strict=True):
        candidate.found += [*found, *former]


def _where(candidate: AnyCandidate) -> Span:
    file = candidate.folder.file
    return Span(file.name, 1, 1) if file else Span(candidate.id)


def _sorted(
    candidates: Iterable[AnyCandidate],
) -> tuple[Mapping[str, ResolvedCustomer], dict[str, tuple[Diagnostic, ...]]]:
    """Valid customers by id, and why the others are not. A folder that claims another id than its name, or a former
    one, makes that id invalid too, unless it is a valid customer's: what it means is not known, so it is not
    removed."""
    valid: dict[str, ResolvedCustomer] = {}
    wrong: dict[str, list[Diagnostic]] = defaultdict(list)
    claims: list[AnyCandidate] = []
    for candidate in candidates:
        resolved = candidate.resolved()
        if resolved is not None:
            valid[candidate.id] = resolved
        else:
            wrong[candidate.id] += candidate.found
            claims.append(candidate)
    for candidate in claims:
        for claimed in (candidate.claimed_id, *candidate.former_ids):
            if claimed is not None and claimed not in valid and claimed not in wrong:
                wrong[claimed] += candidate.found
    return dict(sorted(valid.items())), {name: in_order(found) for name, found in wrong.items()}


def _file_names(layout: Layout, folders: Iterable[CustomerFolder]) -> Iterator[str]:
    if layout.settings is not None:
        yield layout.settings.name
    for file in (*layout.defaults, *layout.catalogue):
        yield file.name
    for folder in folders:
        if folder.file is not None:
            yield folder.file.name
        for file in (*folder.communities, *folder.lessons):
            yield file.name
