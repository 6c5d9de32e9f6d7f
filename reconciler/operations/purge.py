"""`purge`: what was deleted longer ago than its customer's retention goes for good, customer by customer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler import clock
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.validation.documents import parse_customer_document
from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.plan import CATALOG
from reconciler.operations.actor import find_actor
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.fetch.fetching import delete_fetch_checkpoints
from reconciler.operations.workspace import Workspace
from reconciler.store.read.records import CustomerRecord
from reconciler.store.removal.certificates import Certificate
from reconciler.store.removal.purge import PurgePreview, build_purge_preview, purge_customer
from reconciler.store.removal.retention import find_newest_moment

#: Of customers without a roster, and of the shared lessons.
RETENTION: timedelta = OneRosterRostering.model_fields["retention"].default

#: How far the clock may be ahead of everything that the store knows, before nobody believes it.
MAX_CLOCK_LEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PurgeCandidate:
    """One customer. cut: what was deleted before this moment is past retention. declared: the files have it."""

    id: str
    retention: timedelta
    cutoff: str
    is_declared: bool
    purgeable: PurgePreview


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """What became of one customer. certificate: None where nothing was left to go, or it failed."""

    id: str
    certificate: Certificate | None
    diagnostics: tuple[Diagnostic, ...] = ()


def refuse_wrong_clock(workspace: Workspace, today: str | None) -> None:
    """Raises Refusal where the clock is more than a day ahead of everything stored and nobody says that it is right.
    today: the day as a person says it is, YYYY-MM-DD in UTC; it must be the clock's."""
    if today is not None:
        if today != clock.get_current_day():
            raise Refusal(
                [
                    build_error(
                        "clock-disagrees",
                        f"--today says {today}, the clock says {clock.get_current_day()}; nothing was purged",
                    )
                ]
            )
        return
    newest = find_newest_moment(workspace.store)
    if datetime.fromisoformat(clock.get_current_moment()) - datetime.fromisoformat(newest) > MAX_CLOCK_LEAD:
        raise Refusal(
            [
                build_error(
                    "clock-ahead",
                    f"the clock says {clock.get_current_moment()}, but nothing in the store is newer than {newest}: "
                    "by a clock that is wrong, people would be purged too early; nothing was purged",
                    hint=f"if the clock is right, say so: --today {clock.get_current_day()}",
                )
            ]
        )


def list_purge_candidates(workspace: Workspace) -> tuple[PurgeCandidate, ...]:
    """Every customer of the store and the catalogue, by name, whether anything of it is past retention or not."""
    now = clock.get_current_moment()
    with workspace.store.open_reader() as reader:
        records = reader.read_customers()
    retentions = {CATALOG: RETENTION} | {slug: find_retention(record) for slug, record in records.items()}
    found = []
    for slug, retention in sorted(retentions.items()):
        cut = clock.subtract_span(now, retention)
        declared = is_customer_declared(workspace, slug)
        found.append(
            PurgeCandidate(
                slug, retention, cut, declared, build_purge_preview(workspace.store, slug, cut, is_configured=declared)
            )
        )
    return tuple(found)


def purge_candidate(
    workspace: Workspace,
    candidate: PurgeCandidate,
    *,
    lock_timeout: float = 0.0,
    on_finished: Callable[[PurgeResult], object],
) -> PurgeResult:
    """One customer by itself: one that fails does not stop the others. finished: is given the result as soon as it is
    there."""
    try:
        certificate = purge_customer(
            workspace.store,
            candidate.id,
            candidate.cutoff,
            is_configured=candidate.is_declared,
            now=clock.get_current_moment(),
            actor=find_actor(),
            lock_timeout=lock_timeout,
        )
        if certificate is not None:
            delete_fetch_checkpoints()
        result = PurgeResult(candidate.id, certificate)
    except Refusal as refusal:
        result = PurgeResult(candidate.id, None, refusal.diagnostics)
    except UNEXPECTED_EXCEPTIONS as problem:  # a door: one customer's defect must not keep the others from being purged
        result = PurgeResult(candidate.id, None, (report_unexpected_error(candidate.id, "purging", problem),))
    on_finished(result)
    return result


def find_retention(record: CustomerRecord) -> timedelta:
    """As last applied."""
    rostering = parse_customer_document(record.document).rostering
    return rostering.retention if isinstance(rostering, OneRosterRostering) else RETENTION


def is_customer_declared(workspace: Workspace, slug: str) -> bool:
    """Whether any file is about this customer, valid or not, under this name or as its former one."""
    repository = workspace.repository
    former = {
        str(name)
        for each in repository.customers.values()
        for name in _list_names(each.documents[0].document.get("previously"))
    }
    return slug in repository.customers or slug in repository.invalid or slug in former


def _list_names(listed: object) -> list[object] | tuple[object, ...]:
    return listed if isinstance(listed, list | tuple) else ()
